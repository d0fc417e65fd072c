"""The commands of viewers: checked, run, acknowledged.

The dashboard, the command line and scripts all come through here; none has more rights than
another.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from ..exceptions import CommandError, TremoloException
from ..scope import EVERYTHING, TOTAL, Scope
from ..telemetry.builders import done, error_line, mail_event, refused, throttle_event
from ..throttle import Throttle, check_scope, parse_rule
from .companions import Companions
from .feed import WITH_MESSAGES, Feed, Viewer
from .generations import Generations
from .wanted import WantedIntercepts, WantedMail, WantedThrottle
from .worker_handle import WorkerHandle
from .worker_observer import WorkerObserver

if TYPE_CHECKING:
    from ..telemetry.messages import Status

MAX_WORKERS = 256
LONGEST_FILTER = 2000


class Commanded(NamedTuple):
    """What commands act on. `request_stop(now)` drains and stops, `status` is the answer of
    `tremolo status`."""

    generations: Generations
    throttle: WantedThrottle
    intercepts: WantedIntercepts
    mail: WantedMail
    observer: WorkerObserver
    feed: Feed
    companions: Companions
    request_stop: Callable[[bool], None]
    status: "Callable[[], Status]"


class Commands:
    """Carries out Command messages."""

    def __init__(self, commanded: Commanded) -> None:
        self._on = commanded
        self._filters: List[str] = []  # that workers were told
        self._names: Dict[str, Callable[[Viewer, Mapping[str, Any]], Any]] = {
            "throttle": self._throttle, "reload": self._reload, "detail": self._detail,
            "filter": self._filter, "cut": self._cut, "workers": self._workers,
            "restart": self._restart, "stop": self._stop, "drain": self._drain,
            "status": self._status, "message": self._message, "intercept": self._intercept,
            "release": self._release, "mail": self._hold_mail, "recent": self._recent,
        }

    def take(self, viewer: Viewer, message: Dict[str, Any]) -> None:
        """Begin to carry it out; the Ack goes to the viewer when it is known."""
        self._on.generations.spawn_task(self._carry_out(viewer, message))

    def viewers_changed(self) -> None:
        """Another viewer looks on, or at other things: workers send as much as any of them wants
        to see, and hold nothing for one that is gone."""
        level, workers = self._on.feed.detail, self._on.generations.workers
        filters = self._on.feed.filters
        for worker in workers:
            worker.notify("detail", level=level)
            if filters != self._filters:
                worker.notify("filter", filters=filters)
        self._filters = filters
        viewer = self._on.intercepts.viewer
        if viewer is not None and not self._on.feed.has(viewer):
            self._on.intercepts.clear()
            for worker in workers:
                worker.notify("intercept", hold="", mocks=[])

    async def _carry_out(self, viewer: Viewer, message: Dict[str, Any]) -> None:
        name, args = message.get("name"), message.get("args")
        try:
            action = self._names.get(name) if isinstance(name, str) else None
            if action is None:
                raise CommandError(f"there is no command {str(name)[:40]!r}; known are "
                                 + ", ".join(self._names))
            result = action(viewer, args if isinstance(args, dict) else {})
            if asyncio.iscoroutine(result):
                result = await result
        except (TremoloException, ValueError, TypeError) as exc:
            viewer.answer(refused(message, exc))
        else:
            viewer.answer(done(message, result))

    # -- throttle --------------------------------------------------------------------

    async def _throttle(self, viewer: Viewer, args: Mapping[str, Any]) -> Dict[str, Any]:
        wanted = self._on.throttle
        changes = self._changes(args)
        affected = [(worker, scope) for scope in changes for worker in self._workers_of(scope)]
        for scope in sorted(changes, key=lambda scope: changes[scope] is not None):
            wanted.set(scope, changes[scope])  # first those that go
        answers = await asyncio.gather(*(
            worker.command("throttle", scope=scope, throttle=_as_dict(changes[scope]))
            for worker, scope in affected))
        if TOTAL in changes:
            self._on.observer.share_total(anew=True)
        failed = [(scope, answer["error"]) for (worker, scope), answer in zip(affected, answers)
                   if not answer.get("ok") and worker.state == "serving"]
        for scope, _ in failed:
            if scope.connection is not None:
                wanted.set(scope, None)  # it is in force nowhere
        self._on.feed.publish(throttle_event(wanted.as_dict()))
        if failed:
            raise CommandError(str(failed[0][1]))
        return wanted.as_dict()

    def _changes(self, args: Mapping[str, Any]) -> Dict[Scope, Optional[Throttle]]:
        """The throttle by scope as a command wants it: `rules` are all there shall be; `off`
        without a scope takes all away; None takes one away."""
        wanted, value = self._on.throttle, args.get("throttle")
        if "rules" in args:
            if not isinstance(args["rules"], dict):
                raise CommandError("rules are an object: scope to throttle")
            rules = {Scope(text): rule for text, rule in args["rules"].items()}
            return wanted.changes({self._with_worker(scope): rule
                                   for scope, rule in rules.items() if self._is_alive(scope)})
        if isinstance(value, str) and "scope" not in args:
            scope, throttle = parse_rule(value, wanted.presets)
            if scope == EVERYTHING and not throttle.active:
                return wanted.changes({})
            return {self._with_worker(scope): throttle}
        scope = self._with_worker(_scope(args.get("scope", EVERYTHING)))
        if value is None or value == "off":
            return {scope: None}
        if isinstance(value, str):
            named, throttle = parse_rule(value, wanted.presets, scope)
            if self._with_worker(named) != scope:
                raise CommandError(f"two scopes are given, {scope} and {named}")
        elif isinstance(value, dict):
            throttle = Throttle.from_dict(value)
        else:
            raise CommandError("a throttle is an object, a text such as slow-4g, or null")
        check_scope(scope, throttle)
        return {scope: throttle}

    def _is_alive(self, scope: Scope) -> bool:
        pid = scope.connection[0] if scope.connection is not None else None
        return pid is None or any(w.pid == pid for w in self._on.generations.workers)

    def _with_worker(self, scope: Scope) -> Scope:
        """The scope of a connection names its worker, for each numbers its own."""
        if scope.connection is None or scope.connection[0] is not None:
            return scope
        number = scope.connection[1]
        pids = [w.pid for w in self._on.generations.workers if w.state == "serving"]
        if len(pids) != 1:
            known = " or ".join(Scope.of_connection(pid, number) for pid in pids[:4])
            raise CommandError(f"{scope} is of which worker: {known}?" if pids else
                               f"{scope}: no worker serves")
        return Scope.of_connection(pids[0], number)

    def _workers_of(self, scope: Scope) -> List[WorkerHandle]:
        """Those that have to know of a scope."""
        if scope.connection is not None:
            return [self._worker(scope.connection[0])]
        return [w for w in self._on.generations.workers if w.state != "exited"]

    # -- the rest --------------------------------------------------------------------

    async def _reload(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        if self._on.observer.reloader is not None:
            self._on.observer.reloader.guard.forgive()
        self._on.companions.start()
        if not await self._on.generations.renew(cause="request"):
            failed = self._on.generations.failed or {}
            raise CommandError(error_line(failed))
        return self._on.generations.number

    def _detail(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        level = args.get("level")
        if not isinstance(level, int) or not 0 <= level <= 2:
            raise CommandError("the level of detail is 0 to 2")
        viewer.detail = level
        self.viewers_changed()
        return level

    def _recent(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        """What happened last before the viewer came; all else comes before or after it."""
        requests = self._on.observer.rollup.totals().get("requests", 0)
        for message in self._on.feed.recent.told(requests, viewer.detail >= WITH_MESSAGES):
            viewer.answer(message)
        return True

    def _filter(self, viewer: Viewer, args: Mapping[str, Any]) -> str:
        """What a viewer filters by is chosen before others where not all requests can be shown,
        as long as it is there."""
        from ..telemetry.filters import FilterError, compile_filter

        text = args.get("filter")
        if not isinstance(text, str) or len(text) > LONGEST_FILTER:
            raise CommandError(f"a filter is a text of at most {LONGEST_FILTER} characters")
        try:
            compile_filter(text)
        except FilterError as exc:
            raise CommandError(f"{exc} (at {exc.place + 1} of {text!r})") from None
        viewer.filter = text.strip()
        self.viewers_changed()
        return viewer.filter

    async def _cut(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        answer = await self._worker(args.get("pid")).command("cut", conn=args.get("conn"))
        if not answer.get("ok"):
            raise CommandError(str(answer.get("error")))
        return True

    async def _intercept(self, viewer: Viewer, args: Mapping[str, Any]) -> Dict[str, Any]:
        """Hold and mock requests for a viewer, as long as it is there; the newest wish counts."""
        wanted = {"hold": args.get("hold") or "", "mocks": args.get("mocks") or []}
        workers = [w for w in self._on.generations.workers if w.state != "exited"]
        answers = await asyncio.gather(*(
            worker.command("intercept", **wanted) for worker in workers))
        refused = [answer["error"] for worker, answer in zip(workers, answers)
                   if not answer.get("ok") and worker.state == "serving"]
        if refused:
            raise CommandError(str(refused[0]))
        self._on.intercepts.set(viewer, wanted)
        return wanted

    async def _release(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        answer = await self._worker(args.get("pid")).command("release", **{
            name: args[name] for name in ("id", "method", "target", "headers", "body64", "answer")
            if name in args})
        if not answer.get("ok"):
            raise CommandError(str(answer.get("error")))
        return True

    async def _hold_mail(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        """Keep mail from being sent, or no longer: so it is once each worker has said so."""
        hold = args.get("hold")
        if not isinstance(hold, bool):
            raise CommandError("mail is held, true, or not, false")
        self._on.mail.held = hold
        workers = [w for w in self._on.generations.workers if w.state != "exited"]
        answers = await asyncio.gather(*(worker.command("mail", hold=hold) for worker in workers))
        self._on.feed.publish(mail_event(hold))
        refused = [answer["error"] for worker, answer in zip(workers, answers)
                   if not answer.get("ok") and worker.state == "serving"]
        if refused:
            raise CommandError(str(refused[0]))
        return hold

    async def _message(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        answer = await self._worker(args.get("pid")).command(
            "message", **{name: args[name] for name in (
                "conn", "text", "data64", "close", "reason") if name in args})
        if not answer.get("ok"):
            raise CommandError(str(answer.get("error")))
        return True

    def _workers(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        count = args.get("count")
        if not isinstance(count, int) or not 1 <= count <= MAX_WORKERS:
            raise CommandError(f"the number of workers is 1 to {MAX_WORKERS}")
        self._on.generations.scale(count)
        return count

    def _restart(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        if not self._on.generations.replace(self._worker(args.get("pid"))):
            raise CommandError("that worker does not serve")
        return True

    def _drain(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        self._on.request_stop(False)
        return True

    def _stop(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        self._on.request_stop(bool(args.get("now")))
        return True

    def _status(self, viewer: Viewer, args: Mapping[str, Any]) -> "Status":
        return self._on.status()

    def _worker(self, pid: Any) -> WorkerHandle:
        workers: List[WorkerHandle] = [
            worker for worker in self._on.generations.workers if worker.pid == pid]
        if not workers:
            raise CommandError(f"there is no worker with the process id {str(pid)[:20]}")
        return workers[0]


def _scope(text: Any) -> Scope:
    if not isinstance(text, str):
        raise CommandError(f"a scope is a text, not {text!r:.40}")
    return Scope(text)


def _as_dict(throttle: Optional[Throttle]) -> Optional[Dict[str, Any]]:
    return None if throttle is None else throttle.as_dict()
