"""The application that answers while the user's cannot start.

503 for every request, with a plain page that names the error to clients on this machine, and
says nothing to others.
"""

import ipaddress
from typing import Any, Awaitable, Callable, Dict, Mapping

Receive = Callable[[], Awaitable[Dict[str, Any]]]
Send = Callable[[Dict[str, Any]], Awaitable[None]]


def is_loopback(host: Any) -> bool:
    """Whether a peer is on this machine; a Unix socket's peers (no address) are."""
    if not host:
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class StandIn:
    """An ASGI application made of an ErrorEvent."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        first = f"{error.get('type', 'Error')}: {error.get('text', '')}"
        self._page = (
            "The application could not be started.\n\n"
            f"{first}\n\n{error.get('traceback', '')}\n"
            "It is tried again when a file is saved.\n"
        ).encode("utf-8", "backslashreplace")

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
        client = scope.get("client")
        trusted = client is None or is_loopback(client[0])
        body = self._page if trusted else b"Service Unavailable\n"
        await send({"type": "http.response.start", "status": 503, "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode("ascii")),
            (b"cache-control", b"no-store"), (b"retry-after", b"1"),
            (b"x-content-type-options", b"nosniff")]})
        await send({"type": "http.response.body", "body": body})
