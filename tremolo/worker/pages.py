"""Responses of a server in development: error pages that show what happened, and HTML pages that
load the script which refreshes them.

Kinds of Exchange and Response, made by the server in place of the plain ones. What an application
sends passes through here on its way to the writer; it never waits here for its end.
"""

import logging
from typing import (
    TYPE_CHECKING,
    Any,
    Awaitable,
    Iterable,
    List,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

from ..net.exchange import Exchange
from ..net.recent import SAMPLED
from ..net.states import HEADED, SENDING
from ..net.trust import is_trusted
from ..protocol.http1 import RequestHead
from .declining import DeclinableExchange, DeclinableResponse
from .error_page import exception_page
from .injection import Injection

if TYPE_CHECKING:
    from ..net.connection import HTTPConnection

Header = Tuple[bytes, bytes]

#: where the paths of our own begin, that a worker in development answers itself
PREFIX = b"/__tremolo__/"
#: what browsers want a page for (Fetch standard, section 2.2.5): a tab, or a frame in one
PAGES = (b"document", b"iframe", b"frame")
#: fields that describe the bytes of the body, which are others now
_OF_THE_BYTES = frozenset((b"content-md5", b"digest", b"content-digest", b"repr-digest"))
_WIDE = (b"utf-16", b"utf-32", b"ucs-2", b"iso-10646")


class Snippets(Protocol):
    """What pages get that they listen by."""

    def snippet(self, exchange: Exchange, page: "Page") -> bytes: ...


def wants_page(head: RequestHead) -> bool:
    """Whether a browser asks, to show what it gets as a page. Scripts, `curl` and other clients
    get the bytes of the application untouched."""
    wanted = head.header(b"sec-fetch-dest")
    if wanted is not None:
        return wanted in PAGES
    return accepts_html(head)


def accepts_html(head: RequestHead) -> bool:
    """Whether HTML is asked for by its name."""
    return any(b"text/html" in value.lower() for name, value in head.headers
               if name == b"accept")


class DebugExchange(DeclinableExchange):
    """Answers with the traceback where a plain one has a bare 500, to clients that may see it."""

    def settle(self) -> None:
        error = self.error
        response = self.response
        if error is None or response.progress is SENDING or response.finished \
                or self.connection.lost \
                or not self.connection.server.settings.debug or not is_trusted(self):
            super().settle()
            return
        headers, body = exception_page(error, accepts_html(self.head))
        response.refuse(500, body, headers=headers)


class PageResponse(DeclinableResponse):
    """Puts a script into an HTML page that a browser asks for.

    The head gives at once how long the body will be, for the script goes in whatever the body
    is: after <head>, or else where the document ends.
    """

    _page: Optional[Tuple[Exchange, Snippets]] = None
    _injection: Optional[Injection] = None
    #: bytes of the body that the application still owes, None when it promised none
    _left: Optional[int] = None
    _added = 0

    def is_page(self, exchange: Exchange, browser: Snippets) -> None:
        """It is that of `exchange`, whose page shall listen by what `browser` gives."""
        self._page = exchange, browser

    def start(self, status: int, headers: Iterable[Header], *, reason: bytes = b"",
              length: Optional[int] = None) -> None:
        self._injection = None
        self.filtered = False
        if self._page is not None and not self.started:
            headers = tuple(headers)
            changed = self._prepare(*self._page, status, headers, length)
            if changed is not None:
                headers = changed
                if length is not None:
                    length += self._added
        super().start(status, headers, reason=reason, length=length)

    def _prepare(self, exchange: Exchange, browser: Snippets, status: int,
                 headers: Sequence[Any], length: Optional[int]) -> Optional[List[Header]]:
        """The headers of this response with the script in its body; None to leave it alone."""
        if exchange.proxied is not None:
            return None  # a front end's server has its own way, which a reload would spoil
        if status < 200 or 300 <= status < 400 or status in (204, 205, 206):
            return None
        try:
            page = Page(headers)
        except (TypeError, ValueError):
            return None  # the writer reports what is wrong with them
        if not page.is_html:
            return None
        own = length if page.length is None else page.length
        if own == 0:
            return None
        snippet = browser.snippet(exchange, page)
        if not snippet:
            return None
        self._added = len(snippet)
        self._left = own
        self._injection = Injection(snippet)
        self.filtered = True
        return page.with_script(self._added)

    def promise(self, length: int) -> None:
        if self._injection is not None and self.progress is HEADED and self._left is None:
            self._left = length
            length += self._added
        super().promise(length)

    def unframe(self) -> None:
        super().unframe()
        if self.writer.length is None:
            self._injection = None  # what follows are no bytes of the page alone

    def write(self, data: bytes) -> Optional[Awaitable[None]]:
        return super().write(data if self._injection is None else self._pass(data))

    def write_last(self, data: bytes, trailers: Iterable[Header] = ()) -> None:
        injection = self._injection
        if injection is not None and not self.finished:
            data = self._pass(data)
            if injection.fed:  # a body of nothing stays one, and a HEAD's
                data += injection.end()
        super().write_last(data, trailers)

    def _pass(self, data: bytes) -> bytes:
        """`data` as it goes on. More than was promised is more in the end, too."""
        injection = self._injection
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                return injection.feed(data) + injection.end()  # type: ignore[union-attr]
        return injection.feed(data)  # type: ignore[union-attr]


class PageExchange(DebugExchange):
    """The exchange of a request for a page, or for what pages listen by."""

    response_kind = PageResponse
    response: PageResponse

    def __init__(self, browser: Snippets, connection: "HTTPConnection",
                 head: RequestHead) -> None:
        super().__init__(connection, head)
        self.hidden = head.path.startswith(PREFIX)
        if self.hidden:
            self.choice = SAMPLED
        elif is_trusted(self):
            # Nothing can be put into a compressed page.
            head.headers[:] = [(name, b"identity" if name == b"accept-encoding" else value)
                               for name, value in head.headers]
            self.response.is_page(self, browser)


def dev_exchange(browser: Snippets, connection: "HTTPConnection",
                 head: RequestHead) -> DebugExchange:
    """The exchange of a request in development: most are not for pages, and shall not pay for
    them."""
    if head.path.startswith(PREFIX) or (
            head.method in (b"GET", b"HEAD") and head.upgrade is None and wants_page(head)):
        return PageExchange(browser, connection, head)
    return DebugExchange(connection, head)


class Page:
    """How the headers of a response describe its body. Raises TypeError or ValueError for
    what are no headers."""

    def __init__(self, headers: Sequence[Any]) -> None:
        self._headers: List[Header] = [(name, value) for name, value in headers]
        self.is_html = False
        self.coding = b""
        self.policies: List[bytes] = []
        self.length: Optional[int] = None
        for name, value in self._headers:
            if not isinstance(name, bytes) or not isinstance(value, bytes):
                raise TypeError("the writer reports what is wrong with it")
            lower = name.lower()
            if lower == b"content-type":
                kind, _, parameters = value.lower().partition(b";")
                self.is_html = kind.strip() == b"text/html" and not any(
                    charset in parameters for charset in _WIDE)
            elif lower == b"content-encoding":
                self.coding = value.strip().lower()
            elif lower == b"content-security-policy":
                self.policies.append(value)
            elif lower == b"content-length":
                if self.length is not None or not value.strip().isdigit():
                    raise ValueError("the writer reports what is wrong with it")
                self.length = int(value)

    def add_policy(self, directives: bytes) -> None:
        """Extend the only policy."""
        [policy] = self.policies
        self.policies = [policy + directives]
        self._headers = [
            (name, value + directives if name.lower() == b"content-security-policy" else value)
            for name, value in self._headers]

    def with_script(self, added: int) -> List[Header]:
        """The headers when the body has `added` bytes more than the application sends."""
        changed = []
        for name, value in self._headers:
            lower = name.lower()
            if lower == b"content-length":
                value = b"%d" % (int(value) + added)
            elif lower == b"etag" and not value.startswith(b"W/"):
                value = b"W/" + value  # of one meaning, no longer of the same bytes
            elif lower == b"accept-ranges":
                value = b"none"
            elif lower in _OF_THE_BYTES:
                continue
            changed.append((name, value))
        return changed


def log_once(logger: logging.Logger, logged: "set[str]", text: str) -> None:
    """A hint, once for each text; a bounded number of them."""
    if text not in logged and len(logged) < 20:
        logged.add(text)
        logger.warning("%s", text)
