"""The application that answers while the user's cannot start.

503 for every request, in development with a page that names the error to clients on this
machine, and shows nothing to others.
"""

from typing import Any, Awaitable, Callable, Dict, Mapping

from ..protocol.hosts import is_loopback
from .error_page import page

Receive = Callable[[], Awaitable[Dict[str, Any]]]
Send = Callable[[Dict[str, Any]], Awaitable[None]]

TITLE = "The application could not be started."
NOTE = "It is tried again when a file is saved."
NOTE_WITHOUT_RELOAD = "It is tried again when \"tremolo reload\" asks for it."


class FallbackApp:
    """An ASGI application made of an ErrorEvent, which pages name if it is `shown`; `error` may
    be replaced by a newer one."""

    def __init__(self, error: Mapping[str, Any], shown: bool = True,
                 reload: bool = True) -> None:
        self.error = error
        self._shown = shown
        self._note = NOTE if reload else NOTE_WITHOUT_RELOAD

    async def __call__(self, scope: Dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1012})
            return
        html = any(name == b"accept" and b"text/html" in value.lower()
                   for name, value in scope["headers"])
        client = scope.get("client")
        if self._shown and (client is None or is_loopback(client[0])):
            headers, body = page(self.error, TITLE, self._note, html)
        else:
            headers, body = [(b"content-type", b"text/plain; charset=utf-8"),
                             (b"cache-control", b"no-store")], b"Service Unavailable\n"
        await send({"type": "http.response.start", "status": 503, "headers": [
            *headers, (b"content-length", b"%d" % len(body)), (b"retry-after", b"1")]})
        await send({"type": "http.response.body", "body": body})
