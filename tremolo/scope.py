"""What a rule of the throttle is for: its text, what it means, and what it covers.

A leaf, and the only place that reads and writes scopes. The command line, `[tool.tremolo]`, the
control socket, the feed, workers and the dashboard all speak this:

    *                everything
    /api/*           requests by path; `*`, `{name}`, `{rest:path}`, `<name>` are what varies
    client:10.0.0.7  all connections from one address
    #88              one connection; #4711.88 where several workers number theirs: that of one
    total            the cap on all that passes together

A rule is a scope, a colon and a throttle: `/api/*: slow-4g`.
"""

import re
from functools import lru_cache
from typing import Optional, Pattern, Tuple, Union

from .units import InvalidQuantity

__all__ = ["EVERYTHING", "TOTAL", "InvalidScope", "Scope", "split_rule"]

FORMS = "*, a path such as /api/*, client:10.0.0.7, a connection such as #88, or total"
#: variable parts of a path pattern: `*`, and what frameworks write for one, `{name}`,
#: `{name:converter}`, `<name>`, `<converter:name>`
WILDCARD = re.compile(r"(\*|\{[^{}]*\}|<[^<>]*>)")
_CLIENT = re.compile(r"(?:client|ip)(?::|\s)\s*(.*)", re.IGNORECASE)
_CONNECTION = re.compile(r"(?:conn(?:ection)?\s*[:#]?\s*#?|#)(?:([0-9]{1,10})[.:])?([0-9]{1,18})")
# The last colon separates, unless it is within a variable part: `/items/<int:id>`.
_RULE = re.compile(r"(.*):([^:<>{}]*)", re.DOTALL)


class InvalidScope(InvalidQuantity):
    """A text that is no scope; its message shows what is one, in one clear line."""


class Scope(str):
    """A scope in its one spelling: `Scope(" conn #88 ")` is `#88`. Raises InvalidScope.

    It is that text, so it may be printed, sent, compared and be a key as it is.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "Scope":
        return text if isinstance(text, cls) else super().__new__(cls, _canonical(text))

    @classmethod
    def of_connection(cls, pid: int, number: int) -> "Scope":
        """The connection `number` of the worker `pid`."""
        return cls(f"#{pid}.{number}")

    @classmethod
    def of_peer(cls, peer: str) -> "Optional[Scope]":
        """The client at the address `peer`, as `10.0.0.7:51234` or `[::1]:51234`; None if it has
        no IP address."""
        try:
            return cls("client:" + peer.rpartition(":")[0])
        except InvalidScope:
            return None

    @property
    def is_path(self) -> bool:
        return self.startswith("/")

    @property
    def client(self) -> Optional[str]:
        """The IP address of a client's scope."""
        return str(self[7:]) if self.startswith("client:") else None

    @property
    def connection(self) -> Optional[Tuple[Optional[int], int]]:
        """The worker's process id, if it is named, and the connection's number there."""
        if not self.startswith("#"):
            return None
        pid, _, number = self[1:].rpartition(".")
        return (int(pid) if pid else None), int(number)

    @property
    def label(self) -> str:
        """How it is called on screen."""
        if self == EVERYTHING:
            return "all"
        if self.connection is not None:
            return f"conn #{self.connection[1]}"
        return f"client {self.client}" if self.client is not None else str(self)

    @property
    def specificity(self) -> Tuple[int, int, str]:
        """Sorts paths: the one with most literal characters first, then fewest wildcards."""
        literal, wildcards = WILDCARD.subn("", self)
        return -len(literal), wildcards, str(self)

    @property
    def pattern(self) -> Pattern[bytes]:
        """What matches the percent-decoded paths, without query, that a path's scope covers."""
        return _compiled(self)

    def covers(self, path: Union[str, bytes]) -> bool:
        """Whether this, a path's scope, is for the request target `path`, as it is sent."""
        from urllib.parse import unquote_to_bytes

        raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
        return self.pattern.fullmatch(unquote_to_bytes(raw.partition(b"?")[0])) is not None


def split_rule(text: str) -> Tuple[Optional[Scope], str]:
    """The scope and the throttle's text of a rule; None for a throttle without a scope.

    Raises InvalidScope, also for a scope without a throttle.
    """
    whole = text.strip()
    found = _RULE.fullmatch(whole)
    client = _CLIENT.fullmatch(whole)
    if client is not None and _address(client[1]):
        found = None  # its colons are the address's
    if found is not None:
        return Scope(found[1]), found[2].strip()
    if whole and (whole[0] in "/#*" or whole.lower() in ("all", TOTAL)
                  or client is not None):
        raise InvalidScope(f'{text!r} has no throttle: it is written as "{whole}: slow-4g"')
    return None, text


def client_address(host: str) -> str:
    """An IP address as `Scope.client` has it; what is none as it is."""
    return _address(host) or host


def _canonical(text: str) -> str:
    text = text.strip()
    lowered = text.lower()
    if lowered in ("", "*", "all", "everything"):
        return "*"
    if lowered == "total":
        return lowered
    if text.startswith("/"):
        return text
    if lowered.startswith("route "):
        return _canonical(text[6:])
    client = _CLIENT.fullmatch(text)
    if client is not None:
        address = _address(client[1])
        if address is None:
            raise InvalidScope(f"{text!r}: {client[1]!r} is no IP address of a client")
        return f"client:{address}"
    found = _CONNECTION.fullmatch(lowered)
    if found is None:
        raise InvalidScope(f"{text!r} is no scope: those are {FORMS}")
    return f"#{int(found[1])}.{int(found[2])}" if found[1] else f"#{int(found[2])}"


def _address(text: str) -> Optional[str]:
    """An IP address in its one spelling; one of IPv4 that came over IPv6 is one of IPv4."""
    import socket  # only where there are clients: this is a leaf that the shell loads too

    text = text.strip().strip("[]").partition("%")[0]
    try:
        if ":" not in text:
            return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text))
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None
    if packed.startswith(bytes(10) + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)


def _is_rest(wildcard: str) -> bool:
    """Whether it stands for any text, slashes included; others stand for one segment."""
    return wildcard == "*" or wildcard.endswith(":path}") or wildcard.startswith("<path:")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Pattern[bytes]:
    from urllib.parse import unquote_to_bytes

    parts = []
    for index, piece in enumerate(WILDCARD.split(pattern)):
        if index % 2:
            parts.append(b".*" if _is_rest(piece) else b"[^/]+")
        else:
            parts.append(re.escape(unquote_to_bytes(piece)))
    return re.compile(b"".join(parts), re.DOTALL)


EVERYTHING = Scope("*")
TOTAL = Scope("total")
