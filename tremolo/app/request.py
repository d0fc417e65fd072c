"""The request as handlers see it: facts of the head, computed when they are asked for.

The body is in `body.py`. Knows the exchange of the connection core and the connection's link;
never writes anything. Names and values are bytes as they came, unless noted otherwise.
"""

import os
import secrets
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote_from_bytes

from ..exceptions import BadRequest
from ..protocol.forms import TooManyFields, parse_cookies, parse_query
from ..protocol.forwarded import NOTHING, Forwarded, read_forwarded
from .body import RequestBody
from .context import RequestContext
from .link import Link, peer_address

if TYPE_CHECKING:
    from ..net.exchange import Exchange
    from .response import Response

QUERY_FIELDS = 100


class Headers(Dict[bytes, List[bytes]]):
    """Header fields by lower-case name: the values of each in wire order."""

    __slots__ = ()

    def getlist(self, name: bytes, separator: bytes = b",") -> List[bytes]:
        """The items of a field that is a list: stripped and in lower case.

        The items of one field line come in reverse order, as they always did in Tremolo.
        """
        items: List[bytes] = []
        for value in self.get(name.lower(), ()):
            found = [item.strip().lower() for item in value.split(separator)]
            items += reversed([item for item in found if item])
        return items


class HeaderView:
    """The head as a parser object, for programs that ask `request.header`."""

    __slots__ = ("_request",)

    def __init__(self, request: "Request") -> None:
        self._request = request

    @property
    def headers(self) -> Headers:
        return self._request.headers

    @property
    def is_request(self) -> bool:
        return True

    def getheaders(self) -> List[Tuple[bytes, bytes]]:
        """(name, value) of every field in wire order, names in lower case."""
        return list(self._request.head.headers)


class Request(RequestBody):
    """One request. See API documentation for the attributes; each is cheap until it is
    used."""

    __slots__ = ("__weakref__", "_context", "_cookies", "_headers", "_options", "_query",
                 "head", "link")

    def __init__(self, exchange: "Exchange", link: Link) -> None:
        self._exchange = exchange
        self.head = exchange.head
        self.link = link
        self._rest = b""
        self._body: Optional[bytearray] = None
        self._parts: Any = None
        self._options: Mapping[str, Any] = {}
        self._context: Optional[RequestContext] = None
        self._headers: Optional[Headers] = None
        self._query: Optional[Dict[str, List[str]]] = None
        self._cookies: Optional[Dict[str, List[str]]] = None

    # -- the request line ---------------------------------------------------------------------

    @property
    def method(self) -> bytes:
        return self.head.method

    @property
    def url(self) -> bytes:
        """The target as it was sent."""
        return self.head.target

    @property
    def path(self) -> bytes:
        """The path as it was sent, percent-encoded, without the query string."""
        return self.head.path

    @property
    def query_string(self) -> bytes:
        return self.head.query

    @property
    def version(self) -> bytes:
        """b"1.0" or b"1.1"."""
        return self.head.version

    # -- header fields ------------------------------------------------------------------------

    @property
    def headers(self) -> Headers:
        """The header fields by lower-case name."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers()
            for name, value in self.head.headers:
                headers.setdefault(name, []).append(value)
        return headers

    @property
    def header(self) -> HeaderView:
        return HeaderView(self)

    @property
    def content_type(self) -> bytes:
        return self.head.header(b"content-type") or b"application/octet-stream"

    @property
    def content_length(self) -> int:
        """Bytes of the body as the client announced them; -1 when it did not."""
        length = self.head.content_length
        return -1 if length is None else length

    @property
    def transfer_encoding(self) -> List[bytes]:
        return self.headers.getlist(b"transfer-encoding")

    @property
    def is_valid(self) -> bool:
        """True: what breaks the protocol is answered before any handler sees it."""
        return True

    @property
    def has_body(self) -> bool:
        return self.head.has_body

    @property
    def http_continue(self) -> bool:
        """The client waits for 100 (Continue); it is sent when the body is first read."""
        return self.head.expect_continue

    @property
    def http_keepalive(self) -> bool:
        return self.head.keep_alive

    @property
    def upgraded(self) -> bool:
        """The connection has become a WebSocket."""
        return self._exchange.connection.upgraded is not None

    @property
    def query(self) -> Dict[str, List[str]]:
        """The fields of the query string. Raises BadRequest for more than 100."""
        query = self._query
        if query is None:
            try:
                query = self._query = parse_query(self.head.query, QUERY_FIELDS)
            except TooManyFields as exc:
                raise BadRequest(f"the query string has {exc}") from None
        return query

    @property
    def cookies(self) -> Dict[str, List[str]]:
        """Cookies by name; of several of one name the last sent comes first."""
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = parse_cookies(self.headers.get(b"cookie", ()))
        return cookies

    # -- who asks -----------------------------------------------------------------------------

    @property
    def client(self) -> Any:
        """(ip, port) of the peer; the path of its Unix socket, or None."""
        return self.link.context.client

    @property
    def ip(self) -> bytes:
        """The client's address: the peer's, or the one that trusted proxies forward."""
        client = self._forwarded.client
        address = peer_address(self._exchange.connection.peer) if client is None else client[0]
        return (address or "").encode("latin-1")

    @property
    def host(self) -> bytes:
        """The authority that the request is for."""
        forwarded = self._forwarded.host
        return self.head.host if forwarded is None else forwarded

    @property
    def scheme(self) -> bytes:
        """b"http" or b"https"."""
        return (self._forwarded.scheme or self._own_scheme).encode("ascii")

    @property
    def is_secure(self) -> bool:
        """The connection itself is TLS."""
        return self._exchange.connection.is_tls

    def head_values(self, name: bytes) -> List[bytes]:
        """The comma-separated items of all fields of that name, as sent."""
        return [item.strip() for field, value in self.head.headers if field == name
                for item in value.split(b",") if item.strip()]

    @property
    def _own_scheme(self) -> str:
        return "https" if self.is_secure else "http"

    @property
    def _forwarded(self) -> Forwarded:
        if not self.link.trusted:
            return NOTHING
        head = self.head
        return read_forwarded(head.headers, head.host, self._own_scheme, self.link.proxies)

    # -- the connection -----------------------------------------------------------------------

    @property
    def server(self) -> Link:
        """The connection, as handlers may use it."""
        return self.link

    @property
    def protocol(self) -> Link:
        """The same as `server`."""
        return self.link

    @property
    def transport(self) -> Any:
        return self._exchange.connection.transport

    @property
    def socket(self) -> Any:
        transport = self.transport
        return transport.get_extra_info("socket") if transport is not None else None

    @property
    def timeout(self) -> float:
        """Seconds that a whole request head may take."""
        return float(self.link.options.get("request_timeout") or 0)

    # -- what handlers keep -------------------------------------------------------------------

    @property
    def context(self) -> RequestContext:
        """A place to keep things for this request; `options` are the handler's."""
        context = self._context
        if context is None:
            context = self._context = RequestContext(self, dict(self._options))
        return context

    @property
    def ctx(self) -> RequestContext:
        """The same as `context`."""
        return self.context

    @property
    def params(self) -> RequestContext:
        """The same as `context`; `params.path` are the groups of the route's pattern."""
        return self.context

    @property
    def options(self) -> Mapping[str, Any]:
        """The options in force: those of the handler, as changed through `ctx.options`."""
        return self._options if self._context is None else self._context.options

    def adopt_options(self, options: Mapping[str, Any]) -> None:
        """A handler or middleware is about to run: its options are visible from now on."""
        if self._context is None:
            self._options = {**self._options, **options} if self._options else options
        else:
            self._context.options.update(options)

    def uid(self, length: int = 32, *, ts_offset: float = 0) -> bytes:
        """An identifier of `length` bytes: time (plus `ts_offset` seconds), the client's port,
        the process, and random bytes. Raises ValueError below 16 bytes."""
        if length < 16:
            raise ValueError(f"an identifier has at least 16 bytes, not {length}")
        client = self.client
        port = client[1] if isinstance(client, tuple) else 0
        moment = max(0, int((time.time() + ts_offset) * 1000000))
        return (moment.to_bytes(8, "big") + (port & 0xFFFF).to_bytes(2, "big")
                + (os.getpid() & 0xFFFFFF).to_bytes(3, "big")
                + secrets.token_bytes(length - 13))

    def clear(self) -> None:
        """Forget what was read of the body and computed from the head."""
        self._rest = b""
        self._body = None
        self._query = self._cookies = self._headers = None

    def create_response(self) -> "Response":
        """Another view of this request's response (internal in earlier versions)."""
        from .response import Response  # deferred: that module needs this one

        return Response(self, self._exchange)

    accept = create_response

    def handler_exit(self) -> None:
        """The handler is done with this request (internal in earlier versions)."""
        self.clear()

    def __repr__(self) -> str:
        target = quote_from_bytes(self.head.target, "/?&=%:*")
        return f"<Request {self.head.method.decode('latin-1')} {target}>"
