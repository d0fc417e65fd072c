"""What is known of an exchange as an InsightEvent: bounded, normalised, without secrets."""

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from ..telemetry.sanitize import clean
from ..telemetry.secrets import masked_text
from .places import Place
from .profile import STEP, tree_of
from .record import Query, Record, seconds_of
from .statements import normalised, shown_parameters

if TYPE_CHECKING:
    from ..telemetry.insight_messages import InsightEvent, Mail, OutgoingCall, Repeated

#: statements from one place from which they are called repeated
MANY = 5
MAX_REPEATED = 10
MAX_TOLD = 300  # statements in one event
SIZE = 40 * 1024  # characters of an event, by estimate
#: of a `record.Query`: the statement and its place, and whether it failed
_what, _failed = itemgetter(0, 6), itemgetter(5)


class Shown(str):
    """Parameters that have been made a text."""


def size_of(text: str) -> int:
    """At most so many bytes has a text in JSON."""
    return len(text) if text.isascii() else 12 * len(text)


def size_of_mail(mail: "Mail") -> int:
    texts = [mail["sender"], mail["subject"], mail["text"], mail["html"], *mail["to"],
             *(each["name"] + each["type"] for each in mail["attachments"])]
    return sum(size_of(text) + 40 for text in texts)


class _Room:
    """What an event has room for, and its texts by number, each once."""

    def __init__(self) -> None:
        self.size = 0
        self.statements: List[str] = []
        self.places: List[str] = []
        #: the number of each statement, as it was noted and as it is shown, and of each place
        self.known: Dict[str, int] = {}
        self.known_places: Dict[Place, int] = {None: -1}

    def statement(self, statement: str) -> int:
        found = self.known.get(statement)
        if found is None:
            text = normalised(statement)
            found = self.known.get(text)
            if found is None:
                found = self.known[text] = len(self.statements)
                self.statements.append(text)
                self.size += size_of(text) + 4
            self.known[statement] = found
        return found

    def place(self, place: Place) -> int:
        found = self.known_places.get(place)
        if found is None and place is not None:
            text = clean(f"{place[0]}:{place[1]}", 400)
            found = self.known_places[place] = len(self.places)
            self.places.append(text)
            self.size += size_of(text) + 4
        return -1 if found is None else found


def has_facts(record: Record) -> bool:
    """Whether there is more to tell of an exchange than its row has."""
    return bool(record.query_count or record.call_count or record.wait_seconds >= 0.001
                or (record.samples and record.stacks))


def event_of(record: Record, parameters: bool) -> "InsightEvent":
    """The event's fields about `record`; with the values of `parameters` on request."""
    room = _Room()
    count = record.query_count
    repeated = _repeated(record, room) if count >= MANY else []
    calls = _calls(record, room) if record.call_count else []
    queries = _queries(record, room, parameters) if count else []
    event: InsightEvent = {
        "request": record.id, "statements": room.statements, "places": room.places,
        "queries": queries, "query_count": count,
        "sql_ms": round(record.query_seconds * 1000, 3), "repeated": repeated,
        "transactions": record.transactions,
        "waited_ms": round(record.wait_seconds * 1000, 3), "calls": calls,
        "call_count": record.call_count, "calls_ms": round(record.call_seconds * 1000, 3)}
    if record.samples and record.stacks:
        every = STEP * max(1, record.sampled) / max(1, record.samples)
        event["profile"] = {"every_ms": round(every * 1000, 1), "samples": record.samples,
                            "tree": tree_of(record)}
    return event


def _queries(record: Record, room: _Room, parameters: bool) -> List[List[Any]]:
    told: List[List[Any]] = []
    start, first = record.began, record.queries[:MAX_TOLD]
    room.size += 60 * len(first)
    for (statement, place), group in groupby(first, _what):
        if room.size >= SIZE:
            break
        sql, at, alike = room.statement(statement), room.place(place), list(group)
        # Whole microseconds: `round` to digits costs as much as all the rest, and so does it to
        # write a number that is not whole.
        rows: List[List[Any]] = [
            [sql, at, int((began - start) * 1e6), int(seconds * 1e6), count]
            for _, _, began, seconds, count, _, _ in alike]
        if parameters:
            _add_parameters(rows, alike, record, len(told), room)
        elif any(map(_failed, alike)):
            for row, query in zip(rows, alike):
                if query.failed:
                    row.append(True)
        told += rows
    return told


def _add_parameters(rows: List[List[Any]], queries: List[Query], record: Record, first: int,
                    room: _Room) -> None:
    """Complete the rows of these of the record's queries from its `first` one on; those for
    whose values there is no room are taken away."""
    for index, query in enumerate(queries):
        values = query.parameters
        if not isinstance(values, Shown):
            # Once told, the application's own values need not be kept alive.
            values = Shown(shown_parameters(query.statement, values))
            record.queries[first + index] = query._replace(parameters=values)
        room.size += size_of(values) + 20
        if room.size >= SIZE:
            del rows[index:]
            return
        rows[index] += (query.failed, values)


def _calls(record: Record, room: _Room) -> "List[OutgoingCall]":
    calls: List[OutgoingCall] = []
    for call in list(record.calls):
        if room.size >= SIZE // 2:
            break
        target, method = clean(masked_text(call.target), 400), clean(call.method, 40)
        status = clean(call.status, 60)
        room.size += 130 + size_of(target) + size_of(method) + size_of(status)
        told: OutgoingCall = {
            "kind": call.kind, "method": method, "target": target, "status": status,
            "place": room.place(call.place), "at": round((call.began - record.began) * 1000, 2),
            "ms": round(call.seconds * 1000, 3)}
        if call.mail is not None:
            told["mail"] = call.mail
            room.size += size_of_mail(call.mail)
        calls.append(told)
    return calls


def _repeated(record: Record, room: _Room) -> "List[Repeated]":
    groups: Dict[Tuple[str, Place], List[float]] = {}
    for (statement, place), alike in groupby(record.queries[:], _what):  # in a loop, they are
        groups.setdefault((normalised(statement), place), []).extend(map(seconds_of, alike))
    found = [(len(group), sum(group), sql, place)
             for (sql, place), group in groups.items() if len(group) >= MANY]
    if len(found) > 1:
        found = sorted(found, key=lambda each: each[:2], reverse=True)[:MAX_REPEATED]
    room.size += 60 * len(found)
    return [{"count": count, "sql": room.statement(sql), "place": room.place(place),
             "ms": round(seconds * 1000, 3)} for count, seconds, sql, place in found]
