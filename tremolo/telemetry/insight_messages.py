"""The messages of what happens within requests, as types; see `messages`.

Apart, for only a worker with a viewer of details makes any.
"""

from typing import Any, Dict, List, TypedDict


class Repeated(TypedDict):
    """One statement that was sent again and again from one place: mostly a loop over what one
    query brought (1+N). `sql` and `place` as in InsightEvent.queries."""

    count: int
    sql: int
    place: int
    ms: float


class Attachment(TypedDict):
    """Of a mail. `size` in bytes, decoded."""

    name: str
    type: str
    size: int


class Mail(TypedDict, total=False):
    """A message that was handed over to be sent."""

    sender: str
    to: List[str]
    subject: str
    text: str  # its plain body
    html: str
    attachments: List[Attachment]
    cut: bool  # there is more of it


class OutgoingCall(TypedDict, total=False):
    """A call of another service."""

    kind: str  # "http", "redis", "cache", "mail", "task"
    method: str  # "GET"; of others, what was done
    target: str  # URL without secrets; of others, what it was done with
    status: str  # "200", "cancelled", or the class of an exception; of mail "sent" or "kept"
    place: int
    at: float  # ms after the request began
    ms: float
    mail: Mail


class Profile(TypedDict):
    """The sampled stacks of a request that took longer than 95 of 100 of its route, or a tenth
    of a second."""

    every_ms: float  # between samples, in the mean: of what takes long they become rarer
    samples: int
    tree: List[List[Any]]  # [depth, label, share of the time], in the order of reading


class ChangeEvent(TypedDict, total=False):
    """kind "change": what is different about the requests of one method and route since the last
    save, once there are enough of them to say so. Each of `queries`, `ms` and `failed` is only
    there where it is different, and told once a generation. Pairs are before and since.

    Not sent by the server: whoever reads the feed finds it in the rows."""

    v: int
    kind: str
    t: float
    gen: int
    method: str
    route: str  # as in RequestRow
    requests: List[int]  # that were answered, which this rests on; of 100 at most, their time
    queries: List[List[int]]  # of a request: the fewest and the most
    ms: List[float]  # medians, without the throttle
    failed: int  # requests since, where none did before
    worse: bool


class InsightEvent(TypedDict, total=False):
    """kind "insight": what a request did, once it has ended; again, whole, if more follows in its
    name. What was cut is the difference between the counts and the lists."""

    v: int
    kind: str
    t: float
    pid: int
    gen: int
    request: int  # RequestRow.id
    statements: List[str]  # normalised: without values
    places: List[str]  # "/path/views.py:31"
    # Statements that the request sent to a database, in the order of their ends: each is
    # [sql, place, at_us, us, rows], with `failed` and `parameters` where there are such.
    # `sql`, `place`: numbers in `statements` and `places`; -1: outside of the project
    # `at_us`, `us`: when it began and how long it took, in microseconds, from the request's begin
    # `rows`: -1 where it is not known
    # `parameters`: text, at detail level 2; masked where the statement is about secrets
    queries: List[List[Any]]
    query_count: int
    sql_ms: float
    repeated: List[Repeated]
    transactions: Dict[str, int]  # "commit", "rollback"
    waited_ms: float  # for connections of pools
    calls: List[OutgoingCall]
    call_count: int
    calls_ms: float
    profile: Profile
