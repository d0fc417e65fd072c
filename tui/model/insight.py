"""What requests did from within, by request: the newest few thousand of them."""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .text import clean, clean_lines

CAPACITY = 3_000


class Query(NamedTuple):
    sql: str
    place: str
    at: float
    ms: float
    rows: int  # -1: not known
    failed: bool
    parameters: str


class Repeated(NamedTuple):
    times: int
    sql: str
    place: str
    ms: float


class Mail(NamedTuple):
    """A message that was handed over to be sent; attachments as name, type and bytes."""

    sender: str
    to: Tuple[str, ...]
    subject: str
    text: List[str]  # lines
    html: List[str]
    attachments: Tuple[Tuple[str, str, int], ...]
    cut: bool


class Call(NamedTuple):
    kind: str
    method: str
    target: str
    status: str
    place: str
    at: float
    ms: float
    mail: Optional[Mail] = None


class Node(NamedTuple):
    """A call in the sampled stacks."""

    depth: int
    label: str
    samples: int


#: of a statement that is told: what ends it where nothing else is said
_LIKE_MOST = (-1, -1, 0, 0, -1, False, "")


class Facts:
    """What is known of one request; see `tremolo.telemetry.messages.InsightEvent`."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        self.told = message
        get = message.get
        statements = _texts(get("statements"))
        places = _texts(get("places"))
        self.queries: List[Query] = [
            _query(each, statements, places) for each in get("queries", ())
            if isinstance(each, list)]
        self.query_count = int(get("query_count", 0))
        self.sql_ms = float(get("sql_ms", 0.0))
        self.repeated = [
            Repeated(int(each.get("count", 0)), _at(statements, each.get("sql")),
                     _at(places, each.get("place")), float(each.get("ms", 0.0)))
            for each in _objects(get("repeated"))]
        ends = get("transactions")
        self.transactions: Dict[str, int] = {
            clean(word, 20): int(count) for word, count in ends.items()
        } if isinstance(ends, dict) else {}
        self.waited_ms = float(get("waited_ms", 0.0))
        self.calls = [
            Call(clean(call.get("kind", ""), 10), clean(call.get("method", ""), 40),
                 clean(call.get("target", ""), 400), clean(call.get("status", ""), 60),
                 _at(places, call.get("place")), float(call.get("at", 0.0)),
                 float(call.get("ms", 0.0)), _mail(call.get("mail")))
            for call in _objects(get("calls"))]
        self.call_count = int(get("call_count", 0))
        self.calls_ms = float(get("calls_ms", 0.0))
        profile = get("profile")
        if not isinstance(profile, dict):
            profile = {}
        self.samples = int(profile.get("samples", 0))
        self.every_ms = float(profile.get("every_ms", 0.0))
        self.flame = [Node(int(depth), clean(label, 160), int(samples))
                      for depth, label, samples in profile.get("tree", ())]


class Insight:
    """Facts by process and request."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.revision = 0
        self.counts_queries = False  # a library that makes queries is observed
        self._capacity = capacity
        self._facts: Dict[Tuple[int, int], Facts] = {}

    def add(self, message: Mapping[str, Any]) -> None:
        key = (int(message["pid"]), int(message["request"]))
        self._facts.pop(key, None)  # told again, with more
        facts = self._facts[key] = Facts(message)
        self.counts_queries = self.counts_queries or bool(facts.query_count)
        if len(self._facts) > self._capacity:
            del self._facts[next(iter(self._facts))]
        self.revision += 1

    def of(self, pid: int, request: int) -> Optional[Facts]:
        return self._facts.get((pid, request))


def _query(told: List[Any], statements: List[str], places: List[str]) -> Query:
    sql, place, at, took, rows, failed, parameters = [*told, *_LIKE_MOST[len(told):]][:7]
    return Query(_at(statements, sql), _at(places, place), float(at) / 1000, float(took) / 1000,
                 int(rows), bool(failed), clean(parameters, 400))


def _mail(value: Any) -> Optional[Mail]:
    if not isinstance(value, dict):
        return None
    get = value.get
    return Mail(
        clean(get("sender", ""), 200), tuple(clean(each, 200) for each in get("to", ())),
        clean(get("subject", ""), 400), clean_lines(get("text", "")),
        clean_lines(get("html", "")),
        tuple((clean(each.get("name", ""), 200), clean(each.get("type", ""), 100),
               int(each.get("size", 0))) for each in _objects(get("attachments"))),
        bool(get("cut")))


def _objects(value: Any) -> List[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> List[str]:
    return [clean(text, 400) for text in value] if isinstance(value, list) else []


def _at(texts: List[str], index: Any) -> str:
    return texts[index] if isinstance(index, int) and 0 <= index < len(texts) else ""
