"""The commands of viewers: checked, obeyed, acknowledged.

Keeps the wanted state that outlives workers: the throttle by scope. The dashboard, the
command line and scripts all come through here; none has more rights than another.
"""

import asyncio
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional

from ..exceptions import ConfigurationError, TremoloException
from ..telemetry.messages import VERSION
from ..throttle import TOTAL, Throttle, own_presets, parse_rule, parse_scope
from .feed import Viewer, wall
from .worker_handle import WorkerHandle

if TYPE_CHECKING:
    from .supervisor import Supervisor

MAX_RULES = 100
MAX_WORKERS = 256
EVERYTHING = "*"

_connection_scope = re.compile(r"conn:([0-9]{1,10}):([0-9]{1,15})")


class OrderError(TremoloException):
    """A command that cannot be obeyed; the text says why."""


class WantedThrottle:
    """The throttle that is wanted, by scope: "*", a path pattern, "total", "conn:PID:ID"."""

    def __init__(self, specs: Any = (), presets: Any = None) -> None:
        if presets is not None and not isinstance(presets, Mapping):
            raise ConfigurationError('presets must be a table such as train = "down=2Mbit"')
        #: the user's own, by name
        self.presets = own_presets(presets or {})
        self._rules: Dict[str, Throttle] = {}
        for spec in specs:
            scope, throttle = parse_rule(spec, self.presets)
            self._rules[EVERYTHING if scope == "all" else scope] = throttle

    @staticmethod
    def scope(text: Any) -> str:
        """The canonical name of a scope. Raises OrderError or ConfigurationError."""
        if not isinstance(text, str):
            raise OrderError("a throttle has a scope")
        if _connection_scope.fullmatch(text):
            return text
        found = parse_scope(text)
        if found.startswith("#"):
            raise OrderError("a connection's scope is conn:PID:ID; each worker has its own")
        return EVERYTHING if found == "all" else found

    def set(self, scope: str, throttle: Optional[Throttle]) -> None:
        if throttle is None:
            self._rules.pop(scope, None)
        elif scope not in self._rules and len(self._rules) >= MAX_RULES:
            raise OrderError(f"there are {MAX_RULES} throttle rules already")
        else:
            self._rules[scope] = throttle

    @property
    def total(self) -> Optional[Throttle]:
        """The cap of the whole server."""
        return self._rules.get(TOTAL)

    def forget_worker(self, pid: int) -> None:
        """Its connections are gone, and so are their scopes."""
        for scope in [s for s in self._rules if s.startswith(f"conn:{pid}:")]:
            del self._rules[scope]

    def as_dict(self) -> Dict[str, Any]:
        return {scope: throttle.as_dict() for scope, throttle in self._rules.items()}

    def for_worker(self) -> Dict[str, Any]:
        """The rules of a worker that starts: it has no connections yet."""
        return {"all" if scope == EVERYTHING else scope: throttle.as_dict()
                for scope, throttle in self._rules.items() if not scope.startswith("conn:")}


class Orders:
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
                raise OrderError(f"there is no command {str(name)[:40]!r}; known are "
                                 + ", ".join(self._names))
            result = action(viewer, args if isinstance(args, dict) else {})
            ack["result"] = await result if asyncio.iscoroutine(result) else result
            ack["ok"] = True
        except (TremoloException, ValueError, TypeError) as exc:
            ack.update(ok=False, error=str(exc)[:500])
        viewer.answer(ack)

    # -- throttle --------------------------------------------------------------------

    async def _throttle(self, viewer: Viewer, args: Mapping[str, Any]) -> Dict[str, Any]:
        scope = WantedThrottle.scope(args.get("scope", EVERYTHING))
        value = args.get("throttle")
        if value is None:
            throttle = None
        elif isinstance(value, str):
            throttle = None if value == "off" else Throttle.parse(
                value, self._supervisor.throttle.presets)
        elif isinstance(value, dict):
            throttle = Throttle.from_dict(value)
        else:
            raise OrderError("a throttle is an object, a text such as slow-4g, or null")
        supervisor = self._supervisor
        supervisor.throttle.set(scope, throttle)
        sent = None if throttle is None else throttle.as_dict()
        single = _connection_scope.fullmatch(scope)
        if single:
            workers = [self._worker(int(single[1]))]
            scope = f"#{single[2]}"
        else:
            workers = [w for w in supervisor.generations.workers if w.state != "exited"]
            scope = "all" if scope == EVERYTHING else scope
        answers = await asyncio.gather(
            *(worker.command("throttle", scope=scope, throttle=sent) for worker in workers))
        if scope == TOTAL:
            supervisor.shares.restart()
            supervisor.share_total()
        supervisor.publish_throttle()
        refused = [answer["error"] for worker, answer in zip(workers, answers)
                   if not answer.get("ok") and worker.state == "serving"]
        if refused:
            raise OrderError(str(refused[0]))
        return supervisor.throttle.as_dict()

    # -- the rest --------------------------------------------------------------------

    async def _reload(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        if self._supervisor.reloader is not None:
            self._supervisor.reloader.guard.forgive()
        if not await self._supervisor.generations.renew(cause="request"):
            failed = self._supervisor.generations.failed or {}
            raise OrderError(f"{failed.get('type')}: {failed.get('text')}")
        return self._supervisor.generations.number

    def _detail(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        level = args.get("level")
        if not isinstance(level, int) or not 0 <= level <= 2:
            raise OrderError("the level of detail is 0 to 2")
        viewer.detail = level
        self._supervisor.spread_detail()
        return level

    async def _cut(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        answer = await self._worker(args.get("pid")).command("cut", conn=args.get("conn"))
        if not answer.get("ok"):
            raise OrderError(str(answer.get("error")))
        return True

    def _workers(self, viewer: Viewer, args: Mapping[str, Any]) -> int:
        count = args.get("count")
        if not isinstance(count, int) or not 1 <= count <= MAX_WORKERS:
            raise OrderError(f"the number of workers is 1 to {MAX_WORKERS}")
        self._supervisor.generations.scale(count)
        return count

    def _restart(self, viewer: Viewer, args: Mapping[str, Any]) -> bool:
        if not self._supervisor.generations.replace(self._worker(args.get("pid"))):
            raise OrderError("that worker does not serve")
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
            raise OrderError(f"there is no worker with the process id {str(pid)[:20]}")
        return workers[0]


def throttle_event(throttle: WantedThrottle) -> Dict[str, Any]:
    return {"v": VERSION, "kind": "throttle", "t": wall(), "throttle": throttle.as_dict()}
