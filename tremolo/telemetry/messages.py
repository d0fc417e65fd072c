"""The messages between worker, supervisor and viewers, as types.

One vocabulary for the workers' stats pipe, the dashboard's feed, `--json` output, the
control socket and recorded sessions. Each message is one JSON object on one line of at most
`codec.MAX_LINE` bytes, with `kind` and `v`. Readers ignore keys that they do not know.

Imported for type checkers alone: at run time they would be much to load in every process, for
nothing.

What happens within requests has messages of its own, in `insight_messages`; what stands in frames
of exchanges and connections is in `rows`.

Directions: *frames* go up a lossy pipe from each worker, so their counters are cumulative;
*events* and *acknowledgements* go up, and *commands* down, over reliable sockets.
"""

from typing import Any, Dict, List, Optional, TypedDict

from .rows import ConnectionRow, RequestRow, StreamMessageRow


class Totals(TypedDict, total=False):
    """Cumulative counters of one worker process, and a few gauges, since it started."""

    requests: int  # request heads taken up
    status: List[int]  # responses by class: 1xx, 2xx, 3xx, 4xx, 5xx
    bytes_in: int  # bytes read from clients, heads included
    bytes_out: int  # bytes handed to clients, heads included
    connections: int  # accepted
    aborted: int  # exchanges that ended before their response was whole
    protocol_errors: int  # requests refused by the parser
    errors: int  # exceptions of the application
    rows_dropped: int  # request rows left out of frames
    telemetry_us: int  # time spent on telemetry itself
    cpu_us: int  # CPU time of the process
    latency: Dict[str, int]  # histogram: bucket index -> count, see telemetry.histogram
    open: int  # gauge: open connections
    active: int  # gauge: exchanges in progress
    websockets: int  # gauge: open WebSockets
    rss: int  # gauge: resident bytes
    lag_us: int  # gauge: worst event-loop lag since the last frame


class Frame(TypedDict, total=False):
    """kind "frame": a worker's state, ten times a second on the lossy pipe.

    `rows` are exchanges that ended since the last frame: all of them, or a sample (see
    `RequestRow.weight`), with all that is remarkable as far as there is room,
    `connections` at most 500, busiest first; `connections_left_out` counts the others.
    A `final` frame is the last one, sent over the reliable socket.
    """

    v: int
    kind: str
    pid: int
    gen: int
    slot: int
    seq: int
    t: float
    totals: Totals
    rows: List[RequestRow]
    connections: List[ConnectionRow]
    connections_left_out: int
    messages: List[StreamMessageRow]  # at detail level 2, in frames of their own
    messages_left_out: int  # so many came before these and were too many
    waiting: List[int]  # transfers that wait for the total cap: down, up; only under one
    final: bool


class CompanionState(TypedDict):
    """A program that runs beside the server."""

    name: str
    command: str
    state: str  # "running", "waiting" (to be started again), "ended"
    pid: int  # of the program itself, also its process group's; 0 when it never started


class Hello(TypedDict, total=False):
    """kind "hello": the first line a viewer gets: the whole known state of the server.

    `workers` are WorkerEvent objects, `totals` of processes that have ended are summed up
    in `past`.
    """

    v: int
    kind: str
    t: float
    version: str
    app: str
    addresses: List[str]  # "http://127.0.0.1:8000", "unix:/path"
    local: str  # one more address, in dev: by the project's name, "http://shop.localhost:8000"
    pid: int  # the supervisor's
    folder: str  # that it was started in
    started: float  # when, as `t`
    gen: int
    reload: bool
    reload_ms: Optional[float]
    throttle: Dict[str, Any]  # the same as ThrottleEvent.throttle
    hold_mail: bool  # the same as MailEvent.hold
    presets: Dict[str, Any]  # the user's own: name -> {"label", "throttle": Throttle.as_dict()}
    workers: List["WorkerEvent"]
    past: Totals
    companions: List[CompanionState]
    failed: Optional["ReloadEvent"]  # the last ReloadEvent, while its generation is broken


class WorkerEvent(TypedDict, total=False):
    """kind "worker": a worker changed its state."""

    v: int
    kind: str
    t: float
    pid: int
    gen: int
    slot: int
    state: str  # "starting", "ready", "serving", "draining", "exited", "blocked"
    cause: Optional[str]  # why it exited: "exit code 1", "SIGKILL", "drained", ...
    expected: bool  # False: it was not asked to
    retry_in: Optional[float]  # seconds until it is replaced, after a crash


class ReloadEvent(TypedDict, total=False):
    """kind "reload": a new generation is "started", "ready" or "failed"."""

    v: int
    kind: str
    t: float
    gen: int
    serving: int  # the generation that serves now
    state: str
    cause: str  # "start" (the first), "change", "request", "hangup", "packages"
    files: List[str]  # changed files, relative to the project
    ms: float  # save seen to new code accepting
    parts: Dict[str, float]  # ms by phase: seen, fork, import, lifespan, switch
    modules: List[List[Any]]  # slowest of the project's modules: [name, ms]
    preloaded: int  # modules that the zygote had loaded
    not_preloaded: List[Dict[str, str]]  # at most 50: {"module", "reason"}
    mode: str  # "zygote" or "spawn"
    error: "ErrorEvent"  # when failed
    # when failed: "serves" (the generation `serving` goes on), "ends" (the server does); or 503
    # is answered until there is a change ("waits"), or a reload is asked for ("asked")
    then: str


class AssetsEvent(TypedDict, total=False):
    """kind "assets": templates, styles and the like changed, which need no new code. Workers
    are notified as well."""

    v: int
    kind: str
    t: float
    gen: int
    files: List[str]


class ErrorFrame(TypedDict, total=False):
    """A frame of a traceback. Only those of the project have more than one line of source, and
    variables, as short texts in which secrets are masked."""

    file: str
    line: int
    name: str
    project: bool
    first: int  # the number of the first line of `source`
    source: List[str]
    marked: List[int]  # of `line`: from which character to which, where a part of it is meant
    variables: Dict[str, str]


class Raised(TypedDict, total=False):
    """One exception of a chain; its frames are in the order of their calls."""

    type: str
    text: str
    relation: str  # to one before it: "cause", "context", "member"; "" for the first
    frames: List[ErrorFrame]
    left_out: int  # frames, or at the end of a chain exceptions, that are left out


class ErrorEvent(TypedDict, total=False):
    """kind "error": an exception in the application, or a start that failed."""

    v: int
    kind: str
    t: float
    pid: int
    gen: int
    where: str  # "import", "startup", "request", "shutdown", "task", "thread", "worker"
    type: str  # "KeyError"
    text: str  # "'total'"
    traceback: str  # as Python prints it, cleaned
    chain: List[Raised]  # the same with source and variables, in development
    file: Optional[str]  # innermost frame of the project
    line: Optional[int]
    brief: bool  # one of too many at once: of its frames there is only that one, and no chain
    count: int  # how many of this type and place it stands for, without their requests
    held: str  # of a start: what somebody holds exclusively ("a database"), "" if it is not that
    request: Optional[int]  # RequestRow.id
    method: Optional[str]
    path: Optional[str]
    status: Optional[int]  # None: not known yet, or not because of this


class LogEvent(TypedDict, total=False):
    """kind "log": a line that the application, a worker or a companion (`name`) wrote."""

    v: int
    kind: str
    t: float
    pid: int
    gen: int
    stream: str  # "stdout", "stderr", "log", "tremolo", "companion", "browser"
    level: str  # "debug", "info", "warning", "error", "critical"
    name: str  # logger
    text: str
    request: int  # RequestRow.id of the request that wrote it, where it was one's
    page: str  # of "browser": the path of the page whose console logged it
    client: str  # of "browser": the address of that browser
    left_out: int  # so many lines before the next one did not get through
    waits: bool  # of "tremolo.debugger": a breakpoint waits for `tremolo debug PID`


class MailEvent(TypedDict, total=False):
    """kind "mail": whether mail is kept from being sent, after a change."""

    v: int
    kind: str
    t: float
    hold: bool


class PastEvent(TypedDict, total=False):
    """kind "past": the answer to the command "recent" begins. What comes next with `earlier` true
    is what others were told before, up to the acknowledgement; so much there was before that."""

    v: int
    kind: str
    t: float
    requests: int
    lines: int


class ThrottleEvent(TypedDict, total=False):
    """kind "throttle": the throttle in force, after a change.

    `throttle` maps a scope, as `tremolo.scope` writes it, to
    Throttle.as_dict() of tremolo.throttle, with "total" for the cap of the whole server.
    """

    v: int
    kind: str
    t: float
    throttle: Dict[str, Any]


class HeldEvent(TypedDict, total=False):
    """kind "held": a request is "held" for a viewer, or is not any more: "released", "left" (its
    client did) or "timeout" (it goes on by itself)."""

    v: int
    kind: str
    t: float
    pid: int
    gen: int
    id: int  # RequestRow.id
    conn: int
    state: str
    seconds: float  # until it goes on by itself
    method: str
    path: str


class StatsEvent(TypedDict, total=False):
    """kind "stats": the exact counters of all workers, past ones included, once a second."""

    v: int
    kind: str
    t: float
    gen: int
    totals: Totals
    rates: Dict[str, float]  # requests, bytes_in, bytes_out per second
    latency: Dict[str, float]  # p50, p95, p99, max in ms, of the last ten seconds


class Command(TypedDict, total=False):
    """kind "command": a wish, from a viewer to the supervisor or from there to a worker.

    `name`: "throttle" (scope, throttle: dict of Throttle or None to remove; or throttle alone,
    a text as `--throttle` takes it, "off" for none at all; or rules: all there shall be, by
    scope), "reload", "drain" (timeout), "detail" (level 0-2: 0 counters only, 1 rows, 2 headers
    and bodies), "filter" (filter: what to choose where not all requests can be shown, for as long
    as the viewer is there; to a worker, filters: those of all viewers), "cut" (pid, conn),
    "intercept" (hold: a filter of requests, mocks: method, path, status, headers and body64; both
    for as long as the viewer is there), "release" (pid, id of one that is held; method, target,
    headers, body64 to change; answer: status, headers, body64), "message" (pid, conn, and text,
    data64, or close: a code, with a reason), "workers" (count), "restart" (pid), "stop" (now:
    bool), "mail" (hold: bool), "recent" (see PastEvent), "status".
    Every command is answered by one Ack with its `seq`.
    """

    v: int
    kind: str
    seq: int
    name: str
    args: Dict[str, Any]


class Ack(TypedDict, total=False):
    """kind "ack": the answer to a command: what is in force, or why not."""

    v: int
    kind: str
    seq: int
    ok: bool
    error: Optional[str]
    result: Any


class Status(Hello, total=False):
    """The result of a "status" command: what a Hello has, and more."""

    totals: Totals
    rates: Dict[str, float]  # as in StatsEvent
    latency: Dict[str, float]
    control: Optional[str]  # path of the control socket
    mode: str  # how workers are started: "zygote" or "spawn"
    preloaded: int  # modules that the zygote has loaded
    not_preloaded: List[Dict[str, str]]  # as in ReloadEvent
    zygote: Optional[int]  # process ids
    standby: Optional[int]
    last_error: Optional[Dict[str, Any]]  # an ErrorEvent, as it came from a worker
    last_reload: Optional[ReloadEvent]  # the last that was "ready"
    ignored: List[str]  # files that the application writes itself over and over
