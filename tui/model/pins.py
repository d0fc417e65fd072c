"""Requests that are sent again after each reload, and what came of it."""

import base64
import hashlib
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .bodies import has_secrets, masked_form, masked_json
from .messages import Fields, Message, is_secret
from .requests import Key, Request, refusal
from .text import clean, duration, millis, size

MOST = 20
KEPT = 10  # answers a pin
BODY = 64 * 1024  # bytes of an answer's body that are known
SAVED = 512 * 1024  # bytes of all pins that are saved, as base64
SLOWER = 2.0  # times as long, and
SLOWER_MS = 20.0  # by so much, is a change worth a word
#: fields that differ between any two answers
RESTLESS = {"date", "age", "x-request-id", "x-runtime", "server-timing",
            "connection", "keep-alive"}  # those two are about how it was sent

Octets = bytes  # in a class that has a field of that name


class Answer(NamedTuple):
    """What came back: the status, the body's size and digest, and how long it took; the head,
    and the first BODY bytes of the body; how many queries were made, -1 if that is not known."""

    status: int
    bytes: int
    digest: str
    ms: float
    gen: int = 0
    error: str = ""  # no whole answer: why
    t: float = 0.0
    headers: Fields = ()
    body: Octets = b""
    peer: str = ""  # the address that it was sent from, as its row has it
    queries: int = -1

    @property
    def message(self) -> Message:
        return Message(self.headers, self.bytes, self.body, len(self.body) < self.bytes)

    def words(self) -> str:
        if self.error:
            return self.error
        queries = "" if self.queries < 0 else f" · {counted(self.queries)}"
        return f"{self.status} · {size(self.bytes)} · {duration(self.ms)}{queries}"


def counted(queries: int) -> str:
    return f"{queries} quer{'y' if queries == 1 else 'ies'}"


def is_slower(before: Answer, after: Answer, slower_ms: float = SLOWER_MS) -> bool:
    return after.ms > before.ms * SLOWER and after.ms > before.ms + slower_ms


def compare(before: Answer, after: Answer, slower_ms: float = SLOWER_MS) -> List[str]:
    """What is different, in words; empty when all is as it was. Time counts if it is SLOWER
    times as long and by `slower_ms` longer."""
    if before.error or after.error:
        if bool(before.error) == bool(after.error):
            return [] if before.error == after.error else [after.error]
        return [after.error or f"answers again: {after.status}"]
    changes = []
    if before.status != after.status:
        changes.append(f"{before.status} → {after.status}")
    if before.bytes != after.bytes:
        changes.append(f"{size(before.bytes)} → {size(after.bytes)}")
    elif before.digest != after.digest:
        changes.append("same size, other content")
    if is_slower(before, after, slower_ms):
        changes.append(f"{millis(before.ms)} → {duration(after.ms)}")
    if min(before.queries, after.queries) >= 0 and before.queries != after.queries:
        changes.append(f"{before.queries} → {counted(after.queries)}")
    fields = sorted({name for name, _, _ in field_changes(before, after)})
    if fields:
        changes.append(", ".join(fields[:3]) + (" …" if len(fields) > 3 else ""))
    return changes


def field_changes(before: Answer, after: Answer
                  ) -> List[Tuple[str, Optional[str], Optional[str]]]:
    """Fields that are not the same: name in lower case, the value before and after; none where
    one of the heads is not known. Secrets are not saved, so nothing is said of those of an
    earlier run."""
    if not before.headers or not after.headers:
        return []
    values: List[Dict[str, List[str]]] = [{}, {}]
    for known, answer in zip(values, (before, after)):
        for name, value in answer.headers:
            known.setdefault(name.lower(), []).append(value)
    names = [name for name in dict.fromkeys([*values[0], *values[1]])
             if name not in RESTLESS and name != "content-length"
             and (before.gen or not is_secret(name))]
    was, now = values
    return [(name, _joined(was.get(name)), _joined(now.get(name)))
            for name in names if was.get(name) != now.get(name)]


def _joined(values: Optional[List[str]]) -> Optional[str]:
    return None if values is None else ", ".join(values)


def answer_of(row: Any, queries: int = -1) -> Optional[Answer]:
    """The answer that `row` itself got, to compare later ones with; None if it is not known
    whole, or was compressed, which what is sent again does not ask for."""
    response = row.response
    if response is None or not response.body_whole or response.field("content-encoding"):
        return None
    body = response.body or b""
    return Answer(row.status, response.size, hashlib.sha256(body).hexdigest(), row.ms, row.gen,
                  "", row.t, response.headers, body[:BODY], row.peer, queries)


class Pin:
    """A request and its answers, the newest last. `lacks` names the fields of the request that
    were not saved with it, until a request of the same kind is seen again."""

    def __init__(self, request: Request, lacks: Sequence[str] = ()) -> None:
        self.request = request
        self.answers: List[Answer] = []
        self.lacks = list(lacks)

    def pair(self) -> Optional[Tuple[Answer, Answer]]:
        """The newest answer, and before it the last one that was different; None if there is
        none such."""
        for before in reversed(self.answers[:-1]):
            if compare(before, self.answers[-1]):
                return before, self.answers[-1]
        return None

    def slower(self, answer: Answer, slower_ms: float = SLOWER_MS) -> bool:
        """Whether `answer` took longer than the newest one, whatever else is different."""
        before = self.answers[-1:]
        return bool(before) and not before[0].error and not answer.error and is_slower(
            before[0], answer, slower_ms)

    def changes(self, slower_ms: float = SLOWER_MS) -> Optional[List[str]]:
        """Of the newest answer against the one before; None if there is only one."""
        if len(self.answers) < 2:
            return None
        return compare(self.answers[-2], self.answers[-1], slower_ms)


class Pins:
    """Requests that are pinned, each with its last answers."""

    def __init__(self) -> None:
        self._pins: Dict[Key, Pin] = {}
        self.slower_ms = SLOWER_MS  # as `compare` takes it
        self.revision = 0

    def __len__(self) -> int:
        return len(self._pins)

    def __contains__(self, key: Key) -> bool:
        return key in self._pins

    def __iter__(self) -> Iterator[Pin]:
        return iter(list(self._pins.values()))

    def keys(self) -> List[Key]:
        return list(self._pins)

    def requests(self) -> List[Request]:
        """What can be sent as it was pinned."""
        return [pin.request for pin in self if not pin.lacks]

    def find(self, key: Key) -> Optional[Pin]:
        return self._pins.get(key)

    def toggle(self, request: Request) -> bool:
        """Pin or unpin; whether it is pinned now."""
        self.revision += 1
        if self._pins.pop(request.key, None) is not None:
            return False
        if len(self._pins) >= MOST:
            del self._pins[next(iter(self._pins))]
        self._pins[request.key] = Pin(request)
        return True

    def unpin(self, key: Key) -> None:
        self.revision += 1
        self._pins.pop(key, None)

    def answered(self, key: Key, answer: Answer) -> Optional[List[str]]:
        """Keep an answer; what has changed against the one before, None for the first."""
        pin = self._pins.get(key)
        if pin is None:
            return None
        pin.answers.append(answer)
        del pin.answers[:-KEPT]
        self.revision += 1
        return pin.changes(self.slower_ms)

    def answers(self, key: Key) -> List[Answer]:
        return self._pins[key].answers if key in self._pins else []

    def seen(self, request: Request) -> None:
        """A client has sent this: what a pin of it lacks is known again."""
        pin = self._pins.get(request.key)
        if pin is not None and pin.lacks and request.headers is not None:
            names = {name.lower() for name, _ in request.headers}
            if names.issuperset(pin.lacks):
                pin.request, pin.lacks = request, []
                pin.answers.clear()  # they were those of a stranger
                self.revision += 1

    @property
    def lacking(self) -> bool:
        return any(pin.lacks for pin in self._pins.values())

    # -- from one run to the next

    def kept(self) -> List[Any]:
        """What is saved: requests without their secrets, and each one's newest answer. Those
        with secrets in their body are not; of the others the newest that fit into SAVED."""
        kept: List[Any] = []
        room = SAVED
        for pin in reversed(list(self)):
            told = _pin_dict(pin)
            if told is None:
                continue
            room -= len(told["body"]) + len(told.get("answer", {}).get("body", ""))
            if room < 0:
                break
            kept.append(told)
        return kept[::-1]

    def restore(self, saved: Any) -> None:
        """Pins from an earlier run, as `kept()` gave them; what is no pin is left out."""
        if not isinstance(saved, list):
            return
        for told in saved[-MOST:]:
            try:
                pin = _pin_of(told)
            except (KeyError, TypeError, ValueError):
                continue
            if pin is not None and pin.request.key not in self:
                self._pins[pin.request.key] = pin
        self.revision += 1


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _pin_dict(pin: Pin) -> Optional[Dict[str, Any]]:
    request = pin.request
    headers = request.headers
    words = request.body.decode("utf-8", "replace")
    if masked_json(words) != words or masked_form(words) != words:  # whatever it says it is
        return None
    lacks = sorted({name.lower() for name, value in headers or () if is_secret(name) and value})
    told: Dict[str, Any] = {
        "method": request.method, "target": request.target, "body": _text(request.body),
        "headers": None if headers is None else _open(headers), "lacks": lacks or pin.lacks}
    if pin.answers and not pin.answers[-1].error and not told["lacks"]:
        answer = pin.answers[-1]
        body = b"" if has_secrets(answer.message) else answer.body
        told["answer"] = {**answer._asdict(), "headers": _open(answer.headers),
                          "body": _text(body)}
    return told


def _open(headers: Fields) -> List[List[str]]:
    """The fields that anybody may see."""
    return [[name, value] for name, value in headers if not is_secret(name)]


def _pin_of(told: Any) -> Optional[Pin]:
    method, target = clean(told["method"]), clean(told["target"])
    body = base64.b64decode(told["body"], validate=True)
    headers = None if told["headers"] is None else _fields(told["headers"])
    request = None if headers is None else Message(headers, len(body), body, False)
    if refusal(method, target, request):
        return None
    pin = Pin(Request(method, target, headers, body),
              [clean(name, 80) for name in told.get("lacks", ())])
    saved = told.get("answer")
    if saved is not None:
        pin.answers.append(Answer(
            int(saved["status"]), int(saved["bytes"]), clean(saved["digest"], 64),
            float(saved["ms"]), 0, "", float(saved["t"]), _fields(saved["headers"]),
            base64.b64decode(saved["body"], validate=True), "", int(saved["queries"])))
    return pin


def _fields(told: Any) -> Fields:
    fields = tuple((name, value) for name, value in told)
    if not all(isinstance(part, str) for field in fields for part in field):
        raise ValueError("a field is a name and a value")
    return fields
