"""What messages say beside their heads, as types: what their builders are given by name. As with
`messages`, at run time nobody needs these.
"""

from typing import Any, Dict, List, Optional, TypedDict

from .messages import ErrorEvent, Totals
from .rows import ConnectionRow, RequestRow, StreamMessageRow


class ReloadOutcome(TypedDict, total=False):
    """What a ReloadEvent has beside, see there."""

    ms: float
    parts: Dict[str, float]
    modules: List[List[Any]]
    preloaded: int
    not_preloaded: List[Dict[str, str]]
    mode: str
    error: ErrorEvent
    then: str


class FrameContents(TypedDict, total=False):
    """What a Frame has beside, see there."""

    totals: Totals
    rows: List[RequestRow]
    connections: List[ConnectionRow]
    connections_left_out: int
    messages: List[StreamMessageRow]
    messages_left_out: int
    waiting: List[int]
    final: bool


class ListenerFacts(TypedDict):
    """An address whose socket comes with a message."""

    name: str  # "http://127.0.0.1:8000", "unix:/path"
    options: Dict[str, Any]  # of `app.listen()`


class StartFacts(TypedDict, total=False):
    """What a worker is started with. The ends of its pipes and its listening sockets come with
    it."""

    app: Dict[str, Any]  # {"target"} or {"script", …}, see `Launch`; or the ErrorEvent "fallback"
    home: str  # the working directory, as the user named it
    dev: bool
    reload: bool
    settings: Dict[str, Any]
    excluded: Dict[str, str]  # modules that are not imported ahead, and why
    debug: str  # the folder of the sockets of breakpoints; "" for none
    detail: int
    throttle: Dict[str, Any]  # by scope, as in ThrottleEvent
    hold_mail: bool
    token: str  # of the pages in browsers
    listeners: List[ListenerFacts]
    gen: int
    slot: int
    capture: bool  # whether pipes for its output come with it
    asked: float  # when it was asked for, by the monotonic clock
    fds: int  # where no channel counts the descriptors


class LifeFacts(TypedDict, total=False):
    """What the states of a `life` message have beside."""

    parts: Dict[str, float]  # "ready": ms by phase
    slowest: List[List[Any]]
    error: ErrorEvent  # "failed"
    configuration: bool
    module: str  # "stale": what was imported ahead and does not hold
    reason: str
    lasting: List[str]
    files: Any  # "files": what was read, by path; "packages": paths
    places: Dict[str, Dict[str, Any]]  # where it was looked for modules
    base: List[str]  # "modules": what was imported, see `plan`
    steps: List[Dict[str, Any]]
    last: bool
    addresses: List[List[Any]]  # "addresses": [host, port, options] that the application wants
    paths: List[str]  # "outdated", "own"
    path: str  # "wrote", at `t` by the wall clock
    t: float
    digest: Optional[str]
    resident: int  # "memory": bytes
    count: int  # "requests"
    seconds: float  # "blocked"
    place: str
    stack: str
    reasons: List[str]  # "waits"
