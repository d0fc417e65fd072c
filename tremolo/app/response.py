"""The response as handlers see it: status, fields, and the ways to send a body.

Knows the request's exchange and the middlewares that want to see the response before it
leaves. The head is given to the exchange once; after that, changing it raises.
"""

import time
from typing import (
    TYPE_CHECKING,
    Any,
    Awaitable,
    Callable,
    Dict,
    List,
    Optional,
    Protocol,
    Tuple,
    Union,
)
from urllib.parse import quote

from ..exceptions import HTTPRedirect, InternalServerError
from ..protocol.dates import format_http_date
from ..protocol.forms import build_set_cookie
from ..protocol.http1 import ResponseWriter
from .handlers import DEFAULT_TYPE
from .values import body_bytes, field_bytes, json_bytes, raw_bytes

if TYPE_CHECKING:
    from ..net.exchange import Exchange
    from ..protocol.http1 import RequestHead

Text = Union[str, bytes, bytearray]
Fields = Dict[bytes, List[bytes]]
#: runs the `response` middlewares: takes the body that is about to be sent (None for a
#: stream), gives the one to send in its place, or None to go on
Review = Callable[["Response"], Awaitable[Optional[bytes]]]

#: how field names are spelled on the wire: as first used in this process
_SPELLING: Dict[bytes, bytes] = {}
_SPELLINGS = 1000
#: what is left as it is when a redirect's address beyond ASCII is percent-encoded
_URL = "".join(map(chr, range(0x21, 0x7F)))
_BODILESS = frozenset((204, 205, 304))
JSON_TYPE = b"application/json"
_DEFAULT_HEAD = ((b"Content-Type", DEFAULT_TYPE),)


def misuse(text: str) -> InternalServerError:
    """The application used a response wrongly; `text` is for its log, not for the client."""
    return InternalServerError(cause=RuntimeError(text))


class Answered(Protocol):
    """What a response needs of its request."""

    link: Any

    @property
    def method(self) -> bytes: ...
    @property
    def version(self) -> bytes: ...
    @property
    def head(self) -> "RequestHead": ...


class Response:
    """The response to one request; `request` is that request."""

    __slots__ = ("_content_type", "_exchange", "_fields", "_framed_keep_alive", "_reason",
                 "_replaced", "_status", "default_type", "request", "review")

    def __init__(self, request: Answered, exchange: "Exchange") -> None:
        self.request = request
        self._exchange = exchange
        self._status = 200
        self._reason = b""
        self._content_type = DEFAULT_TYPE
        self._fields: Optional[Fields] = None
        #: a middleware answered in place of the handler, whose output is dropped
        self._replaced = False
        #: whether the connection persists if raw bytes that were sent are well framed; None while
        #: none were
        self._framed_keep_alive: Optional[bool] = None
        #: to be awaited once before the head is given; None when nobody wants to
        self.review: Optional[Review] = None

    # -- the head -----------------------------------------------------------------------------

    def headers_sent(self) -> bool:
        """Whether the head was given, so that it cannot be changed any more."""
        return self._exchange.response.started

    @property
    def headers(self) -> Fields:
        """The fields by lower-case name, to be read and changed. Raises InternalServerError
        once the head was sent."""
        if self._exchange.response.started:
            raise misuse("the response's head has already been sent")
        if self._fields is None:
            self._fields = {b"content-type": [self._content_type]}
        return self._fields

    def append_header(self, name: Text, value: Text) -> None:
        """Add a field beside those of the same name. Raises InternalServerError for CR or LF,
        and once the head was sent."""
        key, value = self._checked(name, value)
        if key == b"content-type" and self._fields is None:
            self.headers[key] = [value]
        else:
            self.headers.setdefault(key, []).append(value)

    def set_header(self, name: Text, value: Text = b"") -> None:
        """Set a field, in place of all of the same name. Raises as `append_header`."""
        key, value = self._checked(name, value)
        self.headers[key] = [value]

    def _checked(self, name: Text, value: Text) -> Tuple[bytes, bytes]:
        try:
            wire, content = field_bytes(name), field_bytes(value)
        except UnicodeEncodeError:
            raise misuse(f"header {name!r}: characters outside latin-1 must be encoded by the "
                         f"caller") from None
        if b"\n" in content or b"\r" in content or b"\n" in wire or b"\r" in wire:
            raise misuse(f"header {name!r}: a line break is not allowed")
        key = wire.lower()
        if key != wire and key not in _SPELLING and len(_SPELLING) < _SPELLINGS:
            _SPELLING[key] = wire
        return key, content

    def set_cookie(self, name: Text, value: Text = "", *, expires: float = 0,
                   path: Text = "/", domain: Optional[Text] = None, secure: bool = False,
                   httponly: bool = False, samesite: Optional[Text] = None) -> None:
        """Set a cookie: for the session, or for `expires` seconds; negative deletes it.

        Raises ValueError for what browsers would drop in silence (see `build_set_cookie`).
        """
        cookie = build_set_cookie(
            _text(name), _text(value), expires=expires, path=_text(path),
            domain=None if domain is None else _text(domain), secure=secure, httponly=httponly,
            samesite=None if samesite is None else _text(samesite), now=time.time())
        self.headers.setdefault(b"set-cookie", []).append(cookie)

    def set_status(self, status: int = 200, message: Text = b"") -> None:
        """Set status and reason phrase; without one, the status's usual phrase is sent."""
        if self._exchange.response.started:
            raise misuse("the response's head has already been sent")
        if not 100 <= int(status) <= 999:
            raise ValueError(f"a status has three digits, got {status!r}")
        self._status = int(status)
        self._reason = field_bytes(message)

    def get_status(self) -> Tuple[int, bytes]:
        """(status, reason phrase)."""
        return self._status, self._reason or _phrase(self._status)

    def set_content_type(self, content_type: Text = DEFAULT_TYPE) -> None:
        """Set the type of the body."""
        if self._fields is None and not self._exchange.response.started:
            self._content_type = self._checked(b"content-type", content_type)[1]
        else:
            self.set_header(b"content-type", content_type)

    def rendered(self, value: Any) -> bytes:
        """A returned value as the body: a dict or list is JSON, with that type unless another
        was set. Raises TypeError as `body_bytes`."""
        if not isinstance(value, (dict, list)):
            return body_bytes(value)
        body = json_bytes(value)
        if not self._exchange.response.started and self.content_type == DEFAULT_TYPE:
            self.set_content_type(JSON_TYPE)
        return body

    @property
    def content_type(self) -> bytes:
        """The type of the body, b"" for none."""
        if self._fields is None:
            return self._content_type
        values = self._fields.get(b"content-type", ())
        return values[0] if len(values) == 1 else b", ".join(values)

    def set_base_headers(self) -> None:
        """Set Date and Server (the server adds them by itself where they are missing)."""
        self.set_header(b"Date", format_http_date(time.time()))
        server_name = self.request.link.options.get("server_name")
        if server_name:
            self.set_header(b"Server", server_name)

    @property
    def line(self) -> bytes:
        """The status line."""
        return b"HTTP/%s %d %s" % (self.request.version, *self.get_status())

    @property
    def http_chunked(self) -> bool:
        """Whether the body is sent chunked."""
        return self._exchange.response.writer.chunked

    def adopt(self, status: Optional[Tuple[int, bytes]],
              content_type: Optional[bytes]) -> None:
        """Take the option defaults of a handler that is about to run."""
        if status is not None:
            self._status, self._reason = status
        if content_type is not None:
            if self._fields is None:
                self._content_type = content_type
            else:
                self._fields[b"content-type"] = [content_type]

    def wire_fields(self) -> Any:
        """(name, value) of each field as they go to the wire."""
        fields = self._fields
        if fields is None:
            if self._content_type is DEFAULT_TYPE:
                return () if self._status in _BODILESS else _DEFAULT_HEAD
            return ((b"Content-Type", self._content_type),)
        wire = []
        for key, values in fields.items():
            if key == b"content-type" and self._status in _BODILESS:
                continue
            name = _SPELLING.get(key, key)
            for value in (values,) if isinstance(values, (str, bytes)) else values:
                wire.append((name, field_bytes(value)))
        return wire

    def own_fields(self) -> Any:
        """The fields that the application set, for an answer without a body."""
        if self._fields is None:
            return ()
        return [field for field in self.wire_fields() if field[0].lower() != b"content-type"]

    # -- the body -----------------------------------------------------------------------------

    async def reviewed(self) -> bool:
        """Let the middlewares see the head. False: one of them answered."""
        review, self.review = self.review, None
        if review is not None:
            body = await review(self)
            if body is not None:
                self._replaced = True
                self._exchange.response.respond(self._status, self.wire_fields(), body,
                                                self._reason)
        return not self._replaced

    async def start(self, *, chunked: Optional[bool] = None,
                    length: Optional[int] = None) -> bool:
        """Give the head. False when a middleware has answered in its place."""
        if self.review is not None and not await self.reviewed():
            return False
        if self._replaced:
            return False
        fields = self.wire_fields()
        if chunked:
            fields = [*fields, (b"Transfer-Encoding", b"chunked")]
        elif chunked is False and length is None:
            # The end of the connection is the end of the body, as for HTTP/1.0.
            self._exchange.response.writer = ResponseWriter(self.request.method, b"1.0", False)
        self._exchange.response.start(self._status, fields, reason=self._reason, length=length)
        return True

    async def write(self, data: Any = None, *, chunked: Optional[bool] = None,
                    buffer_size: Optional[int] = None, rate: Optional[int] = None,
                    buffer_min_size: Optional[int] = None) -> None:
        """Send a piece of the body, after the head on first use.

        Waits while the client is slower than the handler. `b""` ends the body; None sends the
        head alone, if it was not sent, or ends the body.
        """
        exchange = self._exchange
        if rate is not None and rate >= 0:
            exchange.set_rate(rate)
        started = exchange.response.started
        if not started and not await self.start(chunked=chunked):
            return
        if self._replaced or exchange.response.finished:
            return
        if data is None:
            if started:
                exchange.response.finish()
            else:
                exchange.response.flush()
            return
        data = body_bytes(data)
        if not data:
            exchange.response.finish()
            return
        wait = exchange.response.write(data)
        if wait is not None:
            await wait

    async def send(self, data: Any, rate: int = -1, buffer_size: int = 16384,
                   buffer_min_size: Optional[int] = None) -> None:
        """Send bytes exactly as they are; None ends the response. Raises TypeError for others.

        Nothing is put before or around them: before the head was sent, `data` begins with a
        head of your own (or is an interim response, as 103), and behind a chunked head you write
        the chunks. From then on `write` and the handler's result are sent as they are, too, and
        the end adds nothing. The connection is closed after the response, unless you end it with
        `send(None)` or `close(keepalive=True)`: only you know whether it is well framed.
        Behind a head with Content-Length `data` is a part of the body, as with `write`.
        """
        if data is None:
            self.close(keepalive=True)
            return
        data = raw_bytes(data)
        exchange = self._exchange
        if rate >= 0:
            exchange.set_rate(rate)
        if self.review is not None and not await self.reviewed():
            return
        wait = self._write_raw(data)
        if wait is not None:
            await wait

    def send_nowait(self, data: Any) -> None:
        """`send` without waiting for a slow client; `response` middlewares that have not run do
        not run any more."""
        if data is None:
            self.close(keepalive=True)
        else:
            self._write_raw(raw_bytes(data))

    def _write_raw(self, data: bytes) -> Optional[Awaitable[None]]:
        exchange = self._exchange
        if not data or self._replaced:
            return None
        if self._framed_keep_alive is None:
            self._framed_keep_alive = exchange.response.writer.keep_alive
        return exchange.response.write_raw(data)

    async def end(self, data: Any = b"", *, keepalive: bool = True, **options: Any) -> None:
        """Send the whole body, with its length, and complete the response."""
        exchange = self._exchange
        body = body_bytes(data if data is not None else b"")
        if exchange.response.started:
            if not exchange.response.finished and not self._replaced:
                exchange.response.write_last(body)
            return
        if options.get("rate"):
            exchange.set_rate(options["rate"])
        if not keepalive:
            self.set_header(b"Connection", b"close")
        if self.review is None or await self.reviewed():
            exchange.response.respond(self._status, self.wire_fields(), body, self._reason)

    def close(self, keepalive: bool = False) -> None:
        """Complete the response if it was begun; without `keepalive`, close the connection
        too."""
        exchange = self._exchange
        if not keepalive:
            exchange.response.writer.keep_alive = False
        elif self._framed_keep_alive is not None:
            exchange.response.writer.keep_alive = self._framed_keep_alive
        if exchange.response.started and not exchange.response.finished:
            exchange.response.finish()
        elif not exchange.response.started:
            exchange.response.abort()

    async def sendfile(self, path: Any, offset: int = 0, count: int = -1,
                       buffer_size: int = 16384, content_type: Optional[Text] = None,
                       executor: Any = None, **options: Any) -> None:
        """Send a file, or the part of it that the request asks for; see `files.send_file`.

        Its type is `content_type`, else the one set before, else application/octet-stream.
        """
        from .files import send_file  # deferred: most applications send no files

        await send_file(self, path, offset, count,
                        None if content_type is None else field_bytes(content_type),
                        rate=options.get("rate"))

    def redirect(self, url: Text, code: Optional[int] = None) -> HTTPRedirect:
        """An exception to raise that sends the client to `url`.

        302, or 301, or 303 (HTTP/1.1 only); any other `code` gives 302.
        """
        if isinstance(url, str) and not url.isascii():
            url = quote(url, safe=_URL)
        allowed = (301, 303) if self.request.version == b"1.1" else (301,)
        return HTTPRedirect(code=code if code in allowed else 302, location=url)


def _text(value: Text) -> Union[str, bytes]:
    return bytes(value) if isinstance(value, bytearray) else value


def _phrase(status: int) -> bytes:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""
