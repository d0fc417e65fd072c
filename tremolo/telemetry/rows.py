"""What frames tell of exchanges, of messages of streams, and of connections, as types."""

from typing import List, Optional, TypedDict

MOCK, BY_HAND = "mock", "hand"  # what answered, where no application or other server did


class HTTPMessage(TypedDict, total=False):
    """A request or a response as it was sent: nothing is cleaned or masked.

    A body has one of `body` and `body64`, with at most its first 16 KiB; neither if nothing of
    it was seen, as of one that went from a file to the socket.
    """

    headers: List[List[str]]  # name, value; latin-1
    size: int  # bytes of the whole body, without what frames it
    body: str  # if it is UTF-8
    body64: str  # base64, if it is not
    cut: bool  # there was more of the body, or of the headers


class Endpoint(TypedDict):
    """Where the code is that answered a request."""

    name: str  # "shop.views.item"
    file: str
    line: int


class RequestRow(TypedDict, total=False):
    """One exchange; `id` counts up within a worker process.

    `request` and `response` only come at detail level 2, of exchanges that ended, and of some
    200 a second at most.
    """

    id: int
    conn: int
    t: float  # wall clock, seconds since the epoch, at the head's arrival
    method: str
    path: str  # target as sent, cleaned and cut
    route: str  # the framework's template, else the path with its identifiers grouped
    endpoint: Endpoint  # where it is known
    queue_ms: float  # waited for its turn, of the loop and of a thread
    queries: int  # statements that it sent to databases, and the time that they took
    sql_ms: float
    calls: int  # calls of other services, and the time that they took
    calls_ms: float
    status: int  # 0: none was sent
    bytes_in: int
    bytes_out: int
    ms: float  # head complete to last byte handed over
    ttfb_ms: float  # head complete to the response's head
    throttle_ms: float  # waited because of the throttle
    held_ms: float  # held by a viewer before that; no part of `ms`
    state: str  # "done", "aborted", "live"
    error: Optional[str]  # one line: exception type and text
    http: str  # "1.0", "1.1", "ws"
    secure: bool
    peer: str
    sse: bool  # the response is a stream of server-sent events
    proxied: str  # what answered instead: a server ("http://localhost:5173"), MOCK or BY_HAND
    # how many exchanges it stands for, itself included, of which the others have no row: sums of
    # weights estimate counts, sums by duration the distribution of times. 1 where it is missing
    weight: float
    # too many came at once to look into this one: what happened within it is not known
    unobserved: bool
    # other processes wanted the processor as well: that it took long need not be its own doing
    crowded: bool
    request: HTTPMessage
    response: HTTPMessage


StreamMessageRow = TypedDict("StreamMessageRow", {
    "conn": int,
    "id": int,  # RequestRow.id of the handshake, or of the response that is a stream of events
    "t": float,
    "in": bool,  # from the client
    "kind": str,  # "text", "binary", "ping", "pong", "close", "event"
    "size": int,  # bytes of the whole message, without framing and compression
    "wire": int,  # bytes of its payload as it passed, if that was compressed
    "text": str,  # the first 4 KiB, if they are UTF-8
    "data64": str,  # base64, if they are not
    "waited": bool,  # it could not be handed over at once: the client or the throttle was full
}, total=False)


class ConnectionRow(TypedDict, total=False):
    """One open connection."""

    id: int
    peer: str
    state: str  # "new", "idle", "reading", "handling", "sending", "websocket", "draining"
    bytes_in: int
    bytes_out: int
    rate_in: float  # bytes per second since the last frame
    rate_out: float
    age: float  # seconds
    requests: int
    current: str  # method and path of the exchange in progress, or ""
    throttled: bool
