"""The commands of viewers: checked, run, acknowledged.

The dashboard, the command line and scripts all come through here; none has more rights than
another.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Set, Tuple

from ..exceptions import CommandError, TremoloException
from ..telemetry.messages import VERSION, error_line
from ..throttle import TOTAL, Throttle, check_scope
from .feed import Viewer, wall
from .wanted import CONNECTION_SCOPE, EVERYTHING, WantedThrottle
from .worker_handle import WorkerHandle

if TYPE_CHECKING:
    from .supervisor import Supervisor

MAX_WORKERS = 256


class Commands:
    """Obeys Command messages for a supervisor."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._names: Dict[str, Callable[[Viewer, Mapping[str, Any]], Any]] = {
            "throttle": self._throttle, "reload": self._reload, "detail": self._detail,
            "cut": self._cut, "workers": self._workers, "restart": self._restart,
            "stop": self._stop, "drain": self._drain, "status": self._status,
        }

    def take(self, viewer: Viewer, message: Dict[str, Any]) -> None:
        """Start obeying; the Ack goes to the viewer when it is known."""
        self._supervisor.generations.spawn_task(self._obey(viewer, message))

    async def _obey(self, viewer: Viewer, message: Dict[str, Any]) -> None:
        ack: Dict[str, Any] = {"v": VERSION, "kind": "ack", "seq": message.get("seq", 0)}
        name, args = message.get("name"), message.get("args")
        try:
            action = self._names.get(name) if isinstance(name, str) else None
            if action is None:
                raise CommandError(f"there is no command {str(name)[:40]!r}; known are "
                                 + ", ".join(self._names))
            result = action(viewer, args if isinstance(args, dict) else {})
            ack["result"] = await result if asyncio.iscoroutine(result) else result
            ack["ok"] = True
        except (TremoloException, ValueError, TypeError) as exc:
            ack.update(ok=False, error=str(exc)[:500])
        viewer.answer(ack)

    # -- throttle --------------------------------------------------------------------

    async def _throttle(self, viewer: Viewer, args: Mapping[str, Any]) -> Dict[str, Any]:
        supervisor = self._supervisor
        changes = self._changes(args)
        told = [(worker, name, changes[scope]) for scope in changes
                for name, workers in [self._of_workers(scope)] for worker in workers]
        for scope in sorted(changes, key=lambda scope: changes[scope] is not None):
            supervisor.throttle.set(scope, changes[scope])  # first those that go
        answers = await asyncio.gather(*(
            worker.command("throttle", scope=name, throttle=throttle and throttle.as_dict())
            for worker, name, throttle in told))
        if TOTAL in changes:
            supervisor.total_shares.restart()
            supervisor.share_total()
        supervisor.publish_throttle()
        refused = [answer["error"] for (worker, _, _), answer in zip(told, answers)
                   if not answer.get("ok") and worker.state == "serving"]
        if refused:
            raise CommandError(str(refused[0]))
        return supervisor.throttle.as_dict()

    def _changes(self, args: Mapping[str, Any]) -> Dict[str, Optional[Throttle]]:
        """The throttle by scope as a command wants it: `rules` are all there shall be; `off`
        without a scope takes all away; None takes one away."""
        wanted, value = self._supervisor.throttle, args.get("throttle")
        if "rules" in args:
            if not isinstance(args["rules"], dict):
                raise CommandError("rules are an object: scope to throttle")
            alive = {worker.pid for worker in self._supervisor.generations.workers}
            return wanted.changes({scope: rule for scope, rule in args["rules"].items()
                                   if self._is_alive(scope, alive)})
        if isinstance(value, str) and "scope" not in args:
            scope, throttle = wanted.rule(value)
            if scope == EVERYTHING and not throttle.active:
                return wanted.changes({})
            return {scope: throttle}
        scope = wanted.scope(args.get("scope", EVERYTHING))
        if value is None or value == "off":
            return {scope: None}
        if isinstance(value, str):
            throttle = Throttle.parse(value, wanted.presets)
        elif isinstance(value, dict):
            throttle = Throttle.from_dict(value)
        else:
            raise CommandError("a throttle is an object, a text such as slow-4g, or null")
        check_scope(scope, throttle)
        return {scope: throttle}

    @staticmethod
    def _is_alive(scope: str, pids: Set[int]) -> bool:
        single = CONNECTION_SCOPE.fullmatch(scope)
        return single is None or int(single[1]) in pids

    def _of_workers(self, scope: str) -> Tuple[str, List[WorkerHandle]]:
        """The name of a scope for workers, and those that have to know of it."""
        single = CONNECTION_SCOPE.fullmatch(scope)
        if single:
            return f"#{single[2]}", [self._worker(int(single[1]))]
        workers = [w for w in self._supervisor.generations.workers if w.state != "exited"]
        return "all" if scope == EVERYTHING else scope, workers

    # -- the rest --------------------------------------------------------------------

    async def _reload(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        if self._supervisor.reloader is not None:
            self._supervisor.reloader.guard.forgive()
        self._supervisor.companions.start()
        if not await self._supervisor.generations.renew(cause="request"):
            failed = self._supervisor.generations.failed or {}
            raise CommandError(error_line(failed))
        return self._supervisor.generations.number

    def _detail(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        level = args.get("level")
        if not isinstance(level, int) or not 0 <= level <= 2:
            raise CommandError("the level of detail is 0 to 2")
        viewer.detail = level
        self._supervisor.spread_detail()
        return level

    async def _cut(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        answer = await self._worker(args.get("pid")).command("cut", conn=args.get("conn"))
        if not answer.get("ok"):
            raise CommandError(str(answer.get("error")))
        return True

    def _workers(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        count = args.get("count")
        if not isinstance(count, int) or not 1 <= count <= MAX_WORKERS:
            raise CommandError(f"the number of workers is 1 to {MAX_WORKERS}")
        self._supervisor.generations.scale(count)
        return count

    def _restart(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        if not self._supervisor.generations.replace(self._worker(args.get("pid"))):
            raise CommandError("that worker does not serve")
        return True

    def _drain(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        self._supervisor.request_stop()
        return True

    def _stop(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        self._supervisor.request_stop(now=bool(args.get("now")))
        return True

    def _status(self, viewer: Viewer, args: Mapping[str, Any]) -> Dict[str, Any]:
        return self._supervisor.status()

    def _worker(self, pid: Any) -> WorkerHandle:
        workers: List[WorkerHandle] = [
            worker for worker in self._supervisor.generations.workers if worker.pid == pid]
        if not workers:
            raise CommandError(f"there is no worker with the process id {str(pid)[:20]}")
        return workers[0]


def throttle_event(throttle: WantedThrottle) -> Dict[str, Any]:
    return {"v": VERSION, "kind": "throttle", "t": wall(), "throttle": throttle.as_dict()}
