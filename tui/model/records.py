"""A session as records, one JSON object a line: what `--json` prints, and beside it what only a
dashboard knows. Written from the model, and read into one.

Nothing is masked: whoever writes them to a file has to keep that to the user.
"""

import base64
import json
from typing import Any, Dict, Iterable, Iterator, Mapping

from tremolo.telemetry.codec import VERSION
from tremolo.telemetry.templates import grouped

from .conversations import StreamMessage
from .logs import LogLine
from .messages import Message
from .session import Session
from .traffic import Row, Rule

PLAIN = ("id", "conn", "t", "method", "path", "route", "status", "bytes_in", "bytes_out", "ms",
         "ttfb_ms", "throttle_ms", "state", "error", "http", "secure", "peer", "sse")
MESSAGES_A_LINE = 100


class NoSession(ValueError):
    """A file that is no session; the text says why."""


# -- writing

def records_of(session: Session) -> Iterator[Dict[str, Any]]:
    """All that is known, in the order in which it is best read again; requests are those that
    the filter lets through."""
    yield _record("hello", app=session.app, version=session.version, gen=session.reload.gen,
                  addresses=session.addresses, pid=session.pid, reload=session.reload.enabled,
                  throttle={str(scope): throttle.as_dict() for scope, throttle in
                            session.throttling.table.items()},
                  workers=[{"pid": worker.pid, "gen": worker.gen, "slot": worker.slot,
                            "state": worker.state} for worker in session.workers.list()])
    entries = session.traffic.shown()
    for entry in entries:
        if isinstance(entry, Rule):
            yield _rule(entry)
            continue
        yield request_record(entry)
        facts = session.insight.of(entry.pid, entry.id)
        if facts is not None:
            yield {**facts.told}
        yield from _talk(session, entry)
    for row in session.live.rows(session.clock(), 10_000):
        yield {**request_record(row), "state": "done"}  # as far as it had come
        yield from _talk(session, row)
    for told in session.errors.told():
        yield dict(told)
    for line in session.log.lines:
        yield _line(line)


def request_record(row: Row) -> Dict[str, Any]:
    """One request as `--json` has it."""
    record = _record("request", gen=row.gen, pid=row.pid,
                     **{name: getattr(row, name) for name in PLAIN})
    if row.endpoint is not None:
        record["endpoint"] = row.endpoint._asdict()
    for name, message in (("request", row.request), ("response", row.response)):
        if message is not None:
            record[name] = message_dict(message)
    return record


def message_dict(message: Message) -> Dict[str, Any]:
    told: Dict[str, Any] = {"headers": [list(field) for field in message.headers],
                            "cut": message.cut}
    if message.size is not None:
        told["size"] = message.size
    if message.body is not None:
        try:
            told["body"] = message.body.decode("utf-8")
        except UnicodeDecodeError:
            told["body64"] = base64.b64encode(message.body).decode("ascii")
    return told


def _record(kind: str, **values: Any) -> Dict[str, Any]:
    return {"v": VERSION, "kind": kind, **values}


def _rule(rule: Rule) -> Dict[str, Any]:
    if rule.missing:
        return _record("past", t=rule.t, requests=rule.missing, lines=0)
    what = rule.text.rpartition(" · ")[0] if rule.failed else rule.text
    return _record("reload", t=rule.t, gen=rule.gen, serving=rule.gen, ms=rule.ms,
                   state="failed" if rule.failed else "ready", files=[what] if what else [])


def _talk(session: Session, row: Row) -> Iterator[Dict[str, Any]]:
    """The messages of a stream."""
    talk = session.conversations.of(row.pid, row.id) if row.id else None
    messages = [_message(row, message) for message in talk.messages] if talk else []
    for start in range(0, len(messages), MESSAGES_A_LINE):
        yield _record("frame", pid=row.pid, gen=row.gen,
                      messages=messages[start:start + MESSAGES_A_LINE])


def _message(row: Row, message: StreamMessage) -> Dict[str, Any]:
    told: Dict[str, Any] = {"conn": row.conn, "id": row.id, "t": message.t,
                            "in": message.incoming, "kind": message.kind,
                            "size": message.size, "waited": message.waited}
    if message.wire is not None:
        told["wire"] = message.wire
    if message.text is not None:
        told["text"] = message.text
    else:
        told["data64"] = base64.b64encode(message.data).decode("ascii")
    return told


def _line(line: LogLine) -> Dict[str, Any]:
    told = _record("log", t=line.t, pid=line.pid, gen=line.gen, stream=line.stream,
                   level=line.level, name=line.name, text=line.raw)
    if line.request is not None:
        told["request"] = line.request
    return told


# -- reading

def read_records(lines: Iterable[str]) -> Iterator[Dict[str, Any]]:
    """The messages of a session that was saved, or of what `--json` printed. Raises NoSession
    with the number of the line that is none."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise NoSession(f"line {number} is not JSON") from None
        if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
            raise NoSession(f"line {number} is no record: an object with a kind")
        if record.get("v", VERSION) != VERSION:
            raise NoSession(f"line {number} is of version {str(record.get('v'))[:12]}; this is "
                            f"version {VERSION}")
        yield record


def fill(session: Session, records: Iterable[Mapping[str, Any]]) -> int:
    """Take records into a session as if they came from a feed; how many requests they are."""
    before = session.traffic.seen
    for record in records:
        if record["kind"] == "request":
            row = {name: value for name, value in record.items() if name not in ("v", "kind")}
            row["route"] = row.get("route") or grouped(str(row.get("path", "")))
            session.apply(_record("frame", pid=record.get("pid", 0), gen=record.get("gen", 0),
                                  rows=[row]))
        elif record["kind"] != "worker" or record.get("state") != "exited":
            session.apply(dict(record))
    session.notices.standing.clear()
    session.notices.items.clear()  # what was news then is none now
    return session.traffic.seen - before
