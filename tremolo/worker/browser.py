"""The channel to browser pages: what `/__tremolo__/` answers, and notifications of open pages.

    GET /__tremolo__/refresh.js   the script that pages load
    GET /__tremolo__/token        what the next one asks for; only for scripts of this host
    GET /__tremolo__/events       server-sent events: "generation" first, then what happens
    POST /__tremolo__/console     what a page's console logs; see `console`

Only in development, only to clients on this machine that name it by a trusted Host.
Nothing here does more than notify, and log.
"""

import asyncio
import hmac
import json
import os
import re
import secrets
import time
from collections import deque
from hashlib import blake2b
from typing import (
    Any,
    AsyncIterator,
    Callable,
    Deque,
    Dict,
    FrozenSet,
    List,
    Mapping,
    Optional,
    Set,
    Tuple,
)

from ..net.exchange import Exchange
from ..net.stream import peer_text
from ..net.trust import is_trusted
from ..protocol.paths import percent_decode
from ..protocol.sse import encode_comment, encode_event
from . import content_policy
from .console import MAX_BODY, Console
from .error_page import DEBUG_POLICY
from .pages import PREFIX, Page, log_once

#: seconds between comments that keep a stream awake
SILENCE = 25.0
MAX_TEXT = 16 * 1024
MAX_FILES = 50
_TIME = re.compile(rb"[0-9]{1,16}")
_FRIENDS: FrozenSet[Optional[bytes]] = frozenset((None, b"same-origin", b"none"))
_COMMON = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"),
           (b"cross-origin-resource-policy", b"same-origin")]
_TEXT = [(b"content-type", b"text/plain; charset=utf-8"), *_COMMON]
_SCRIPT = [(b"content-type", b"text/javascript; charset=utf-8"), *_COMMON]
_EVENTS = [(b"content-type", b"text/event-stream"), *_COMMON]


class Browser:
    """The channel of one worker. `token` is the server's secret of this start, `gen` the
    generation of the code; a page of a broken start is `good` for nothing but to be replaced.
    """

    prefix = PREFIX  # of the paths that it answers

    def __init__(self, token: str, gen: int, *, good: bool = True,
                 broken: Optional[Mapping[str, Any]] = None) -> None:
        self._token = token.encode("ascii")
        start = blake2b(self._token, digest_size=6, person=b"generation").hexdigest()
        #: also distinguishes one start of the server from another
        self.generation = f"{start}-{gen}"
        self._good = good
        self._broken = _shown(broken)
        self._streams: Set[Exchange] = set()
        self._changes: Deque[Dict[str, Any]] = deque(maxlen=MAX_FILES)
        self._script: Optional[bytes] = None
        #: files of whose changes somebody else notifies pages
        self.is_elsewhere: Callable[[str], bool] = lambda file: False
        self._warned: Set[str] = set()
        #: is given what the consoles of pages log
        self.console: Optional[Console] = None

    @property
    def streams(self) -> int:
        """How many pages listen."""
        return len(self._streams)

    # -- notifications -----------------------------------------------------------------------

    def set_broken(self, error: Optional[Mapping[str, Any]]) -> None:
        """The newest code does not start, for this ErrorEvent; or (None) it does again."""
        self._broken = _shown(error)
        self._publish("broken", self._broken)

    def refresh_assets(self, files: List[str]) -> None:
        """Files changed that pages show but that are no code."""
        files = [file for file in files if not self.is_elsewhere(file)]
        if not files:
            return
        change = {"files": files[:MAX_FILES], "t": _now()}
        self._changes.append(change)
        self._publish("assets", change)

    def _missed(self, since: int) -> List[str]:
        """Files that changed after `since`, when a page last heard of us."""
        files = (name for change in self._changes if change["t"] > since
                 for name in change["files"])
        return list(dict.fromkeys(files))[:MAX_FILES]

    def _publish(self, event: str, data: Any) -> None:
        encoded = encode_event(json.dumps(data), event)
        for exchange in tuple(self._streams):
            if exchange.response.finished:
                continue
            if exchange.response.write(encoded) is not None:
                # It does not read; when it comes back it hears the newest.
                exchange.response.abort()
            else:
                exchange.response.flush()

    # -- the script's tag --------------------------------------------------------------------

    def snippet(self, exchange: Exchange, page: Page) -> bytes:
        """The tag for a page; b"" if its headers do not let the script work."""
        logger = exchange.connection.server.logger
        if page.coding not in (b"", b"identity"):
            log_once(logger, self._warned, "pages are not refreshed that the application sends "
                     f"with Content-Encoding {ascii(page.coding.decode('latin-1'))[1:-1]}")
            return b""
        if page.policies == [DEBUG_POLICY]:  # of our own; it shall go once that is repaired
            page.add_policy(b"; script-src 'nonce-%b'; connect-src 'self'"
                            % secrets.token_urlsafe(12).encode("ascii"))
        verdict = content_policy.judge(page.policies, exchange.head.host)
        if verdict.blocked_by:
            log_once(logger, self._warned, "pages are not refreshed whose "
                     f"Content-Security-Policy forbids it by {ascii(verdict.blocked_by)[1:-1]}: "
                     "'self' must be allowed (--no-browser-reload switches this off)")
            return b""
        nonce = f' nonce="{verdict.nonce}"' if verdict.nonce else ""
        # Not async: what fails in scripts that follow would not be seen. Of one length, so that
        # HEAD promises what GET sends.
        return (f'<script src="/__tremolo__/refresh.js"{nonce} '
                f'data-generation="{self.generation}" '
                f'data-page="{os.getpid():07}.{exchange.id:08}"></script>').encode("ascii")

    # -- requests of our own -----------------------------------------------------------------

    async def answer(self, exchange: Exchange) -> None:
        """Answer a request below PREFIX."""
        head, response = exchange.head, exchange.response
        name = head.path[len(PREFIX):]
        if not is_trusted(exchange) or head.header(b"sec-fetch-site") not in _FRIENDS:
            response.respond(403, _TEXT, b"Forbidden\n")
        elif name == b"console":
            await self._hear(exchange)
        elif name not in (b"refresh.js", b"token", b"events"):
            response.respond(404, _TEXT, b"Not Found\n")
        elif head.method != b"GET":
            response.respond(405, [(b"allow", b"GET"), *_TEXT], b"Method Not Allowed\n")
        elif name == b"refresh.js":
            response.respond(200, _SCRIPT, self._read_script())
        elif name == b"token":
            # Pages elsewhere cannot send this field without being asked for leave first.
            if head.header(b"x-tremolo") == b"refresh":
                response.respond(200, _TEXT, self._token)
            else:
                response.respond(403, _TEXT, b"Forbidden\n")
        elif not hmac.compare_digest(_parameter(head.query, b"token"), self._token):
            response.respond(403, _TEXT, b"Forbidden\n")
        else:
            await self._stream(exchange)

    def _read_script(self) -> bytes:
        if self._script is None:
            self._script = b""
            for name in ("console.js", "refresh.js"):
                with open(os.path.join(os.path.dirname(__file__), name), "rb") as file:
                    self._script += file.read()
        return self._script

    async def _hear(self, exchange: Exchange) -> None:
        """Log what the console of a page logs."""
        head = exchange.head
        if head.method != b"POST":
            exchange.response.respond(405, [(b"allow", b"POST"), *_TEXT], b"Method Not Allowed\n")
        elif head.header(b"x-tremolo") != b"refresh" or not hmac.compare_digest(
                _parameter(head.query, b"token"), self._token):
            exchange.response.respond(403, _TEXT, b"Forbidden\n")
        else:
            exchange.set_body_limit(MAX_BODY)
            body = b"".join([piece async for piece in _pieces(exchange)])
            heard = self.console is None or self.console.take(
                body, peer_text(exchange.connection.peer))
            exchange.response.respond(204 if heard else 400, _COMMON)

    async def _stream(self, exchange: Exchange) -> None:
        """Keep a page informed until it leaves, or until this worker does."""
        response = exchange.response
        if exchange.connection.server.draining:
            response.end_connection()  # it shall look for our heir
        response.start(200, _EVENTS)
        now = _now()
        response.write(encode_event(json.dumps({
            "id": self.generation, "good": self._good, "broken": self._broken, "t": now}),
            "generation"))
        since = _parameter(exchange.head.query, b"since")
        missed = self._missed(int(since)) if _TIME.fullmatch(since) else []
        if missed:
            response.write(encode_event(json.dumps({"files": missed, "t": now}), "assets"))
        response.flush()
        gone = exchange.disconnect_waiter()
        exchange.on_drain = lambda: _finish(exchange)
        self._streams.add(exchange)
        try:
            while not exchange.connection.server.draining:
                await asyncio.wait([gone], timeout=SILENCE)
                if gone.done():
                    break
                response.write(encode_comment())
                response.flush()
        finally:
            self._streams.discard(exchange)
        _finish(exchange)


async def _pieces(exchange: Exchange) -> AsyncIterator[bytes]:
    while True:
        piece = await exchange.read()
        if not piece:
            return
        yield piece


def _now() -> int:
    """Milliseconds by the clock of this machine, which is the browser's as well."""
    return int(time.time() * 1000)


def _finish(exchange: Exchange) -> None:
    if not exchange.response.finished:
        exchange.response.finish()


def _parameter(query: bytes, name: bytes) -> bytes:
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name:
            return percent_decode(value)
    return b""


def _shown(error: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    """What of an ErrorEvent the overlay shows, each part bounded."""
    if error is None:
        return None
    text: Tuple[Tuple[str, int], ...] = (("where", 40), ("type", 200), ("text", 2000),
                                         ("file", 1000))
    shown: Dict[str, Any] = {name: str(error.get(name) or "")[:size] for name, size in text}
    trace = str(error.get("traceback") or "")
    shown["traceback"] = trace if len(trace) <= MAX_TEXT else "...\n" + trace[-MAX_TEXT:]
    line = error.get("line")
    shown["line"] = line if isinstance(line, int) else 0
    return shown
