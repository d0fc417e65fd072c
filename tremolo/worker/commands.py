"""The commands that a worker obeys, checked before they are obeyed.

Every value is validated here again, whoever sent it: bounded, finite, of the right type.
Every command is answered by one acknowledgement, with what is in force or why it is not.
"""

import base64
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional

from ..exceptions import CommandError, TremoloException
from ..scope import Scope
from ..telemetry.builders import done, refused
from ..throttle import Throttle

if TYPE_CHECKING:
    from ..net.server import Server
    from ..telemetry.messages import Ack
    from .browser import Browser
    from .intercept import Interceptor
    from .sampler import Sampler

MAX_DETAIL = 2


class Commands:
    """Obeys commands on a server and its sampler.

    `serve()` and `drain(timeout, hand_over)` are the worker's own; they start what the
    command asks for and return at once.
    """

    def __init__(self, server: "Server", sampler: "Sampler", serve: Callable[[], None],
                 drain: Callable[[float, bool], None], browser: "Optional[Browser]" = None,
                 application: object = None,
                 stale: Callable[[List[str]], List[str]] = lambda paths: [],
                 notify: Callable[[Mapping[str, Any]], None] = lambda event: None,
                 hold_mail: Callable[[bool], None] = lambda hold: None) -> None:
        self._server = server
        self._sampler = sampler
        self._serve = serve
        self._drain = drain
        self._browser = browser
        self._application = application
        self._stale = stale
        self._notify = notify
        self._hold_mail = hold_mail
        self._interceptor: Optional[Interceptor] = None
        self._names: Dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "throttle": self._throttle, "detail": self._detail, "filter": self._filter,
            "cut": self._cut,
            "serve": self._start_serving, "drain": self._start_draining,
            "broken": self._note_broken, "assets": self._note_assets,
            "touched": self._name_stale, "message": self._send_message,
            "intercept": self._intercept, "release": self._release, "mail": self._keep_mail,
        }

    def obey(self, message: Mapping[str, Any]) -> "Ack":
        """Carry out a Command; its Ack."""
        args = message.get("args")
        action = self._names.get(str(message.get("name")))
        try:
            if action is None:
                name = str(message.get("name"))[:40]
                raise CommandError(f"a worker knows no command {name!r}")
            return done(message, action(args if isinstance(args, dict) else {}))
        except (TremoloException, ValueError, TypeError) as exc:
            return refused(message, exc)

    def _throttle(self, args: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        named, value = args.get("scope"), args.get("throttle")
        if not isinstance(named, str):
            raise CommandError("a throttle command has a scope")
        scope = Scope(named)
        throttle = None
        if value is not None:
            if not isinstance(value, dict):
                raise CommandError("a throttle is an object or null")
            throttle = Throttle.from_dict(value)
            if scope.connection and scope.connection[1] not in self._server.connections:
                raise CommandError(f"there is no connection {scope}")
        self._server.throttler.set(scope, throttle)
        return None if throttle is None else throttle.as_dict()

    def _detail(self, args: Mapping[str, Any]) -> int:
        level = args.get("level")
        if not isinstance(level, int) or not 0 <= level <= MAX_DETAIL:
            raise CommandError(f"the level of detail is 0 to {MAX_DETAIL}")
        self._sampler.set_detail(level)
        return level

    def _filter(self, args: Mapping[str, Any]) -> int:
        """Show of too many requests what viewers filter by; how many filters can be judged."""
        from .sought import sought_by

        filters = args.get("filters")
        if not isinstance(filters, list):
            raise CommandError("filters are a list of texts")
        sought = sought_by(filters)
        self._sampler.seek(sought)
        return len(sought)

    def _cut(self, args: Mapping[str, Any]) -> bool:
        connection = args.get("conn")
        if not isinstance(connection, int):
            raise CommandError("cut names a connection by its number")
        if not self._server.cut(connection):
            raise CommandError("there is no such connection")
        return True

    def _send_message(self, args: Mapping[str, Any]) -> bool:
        """Send a message over an open WebSocket as if the application did, or close it."""
        from ..net.websocket import WebSocketLink  # deferred: most applications have none

        connection = self._server.connections.get(args.get("conn", 0))
        websocket = None if connection is None else connection.upgraded
        if not isinstance(websocket, WebSocketLink) or not websocket.open:
            raise CommandError("there is no such open WebSocket")
        text, data, code = args.get("text"), args.get("data64"), args.get("close")
        if isinstance(text, str):
            websocket.send(text)
        elif isinstance(data, str):
            websocket.send(base64.b64decode(data, validate=True))
        elif isinstance(code, int):
            websocket.close(code, str(args.get("reason") or ""))
        else:
            raise CommandError("a message has a text or data64, or a code to close with")
        return True

    def _start_serving(self, args: Mapping[str, Any]) -> None:
        self._serve()

    def _start_draining(self, args: Mapping[str, Any]) -> None:
        timeout = args.get("timeout", 0)
        if not isinstance(timeout, (int, float)) or not 0 <= timeout <= 86400:
            raise CommandError("a drain timeout is in seconds, at most a day")
        if self._interceptor is not None:
            self._interceptor.release_all()
        self._drain(float(timeout), bool(args.get("hand_over")))

    def _intercept(self, args: Mapping[str, Any]) -> Dict[str, int]:
        if self._interceptor is None:
            from .intercept import Interceptor

            self._interceptor = Interceptor(self._server, self._notify)
        return self._interceptor.change(args)

    def _release(self, args: Mapping[str, Any]) -> bool:
        if self._interceptor is None:
            raise CommandError("no request is held")
        return self._interceptor.release(args)

    def _keep_mail(self, args: Mapping[str, Any]) -> bool:
        hold = args.get("hold")
        if not isinstance(hold, bool):
            raise CommandError("mail is held, true, or not, false")
        self._hold_mail(hold)
        return hold

    def _note_broken(self, args: Mapping[str, Any]) -> None:
        """A save is broken: pages in browsers show that, as does the page of a broken start."""
        error = args.get("error")
        if error is not None and not isinstance(error, dict):
            raise CommandError("an error is an object or null")
        from .fallback_app import FallbackApp

        if error is not None and isinstance(self._application, FallbackApp):
            self._application.error = error
        if self._browser is not None:
            self._browser.set_broken(error)

    def _name_stale(self, args: Mapping[str, Any]) -> List[str]:
        """Files were touched that are no code: which of them this process may know by heart."""
        paths = args.get("paths")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise CommandError("paths are a list of names of files")
        return self._stale(paths)

    def _note_assets(self, args: Mapping[str, Any]) -> int:
        """Files changed that are no code: pages fetch them again; how many did."""
        files = args.get("files")
        if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
            raise CommandError("assets are a list of names of files")
        if self._browser is None:
            return 0
        self._browser.refresh_assets(files)
        return self._browser.streams
