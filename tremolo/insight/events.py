"""What is known of an exchange as an InsightEvent: bounded, normalised, without secrets."""

from typing import Any, Dict, List, Tuple

from ..telemetry.messages import InsightEvent, OutgoingCall, Query, Repeated
from ..telemetry.secrets import masked_text
from ..telemetry.visible import clean
from .places import Place
from .record import Record
from .statements import normalised, shown_parameters

#: statements from one place from which they are called repeated
MANY = 5
MAX_REPEATED = 10
MAX_TOLD = 300  # statements in one event
SIZE = 40 * 1024  # characters of an event, by estimate


class _Index:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.texts: List[str] = []
        self._numbers: Dict[str, int] = {}
        self.size = 0

    def number(self, text: str) -> int:
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
            self.size += len(text) + 4
        return found


def has_facts(record: Record) -> bool:
    """Whether there is more to tell of an exchange than its row has."""
    return bool(record.query_count or record.call_count or record.wait_seconds >= 0.001)


def event_of(record: Record, parameters: bool) -> InsightEvent:
    """The event's fields about `record`; with the values of `parameters` on request."""
    statements, places = _Index(), _Index()

    def place_of(place: Place) -> int:
        if place is None:
            return -1
        return places.number(clean(f"{place[0]}:{place[1]}", 400))

    queries: List[Query] = []
    groups: Dict[Tuple[int, int], List[Any]] = {}
    size = 0
    for query in list(record.queries):
        sql = statements.number(normalised(query.statement))
        place = place_of(query.place)
        group = groups.setdefault((sql, place), [0, 0.0])
        group[0] += 1
        group[1] += query.seconds
        if len(queries) >= MAX_TOLD or size + statements.size + places.size > SIZE:
            continue
        told: Query = {"sql": sql, "place": place,
                       "at": round((query.began - record.began) * 1000, 2),
                       "ms": round(query.seconds * 1000, 3)}
        if query.rows >= 0:
            told["rows"] = query.rows
        if query.failed:
            told["failed"] = True
        if parameters:
            shown = shown_parameters(query.statement, query.parameters)
            if shown:
                told["parameters"] = shown
                size += len(shown)
        size += 60
        queries.append(told)
    calls: List[OutgoingCall] = []
    for call in list(record.calls):
        if size + statements.size + places.size > SIZE:
            break
        target = clean(masked_text(call.target), 400)
        size += 120 + len(target)
        calls.append({"kind": call.kind, "method": clean(call.method, 40), "target": target,
                      "status": clean(call.status, 60), "place": place_of(call.place),
                      "at": round((call.began - record.began) * 1000, 2),
                      "ms": round(call.seconds * 1000, 3)})
    event: InsightEvent = {
        "request": record.id, "statements": statements.texts, "places": places.texts,
        "queries": queries, "query_count": record.query_count,
        "sql_ms": round(record.query_seconds * 1000, 3), "repeated": _repeated(groups),
        "transactions": {word: record.ends.count(word) for word in sorted(set(record.ends))},
        "waited_ms": round(record.wait_seconds * 1000, 3), "calls": calls,
        "call_count": record.call_count, "calls_ms": round(record.call_seconds * 1000, 3)}
    return event


def _repeated(groups: Dict[Tuple[int, int], List[Any]]) -> List[Repeated]:
    found = [(count, sql, place, seconds)
             for (sql, place), (count, seconds) in groups.items() if count >= MANY]
    found.sort(reverse=True)
    return [{"count": count, "sql": sql, "place": place, "ms": round(seconds * 1000, 3)}
            for count, sql, place, seconds in found[:MAX_REPEATED]]
