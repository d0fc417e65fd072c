"""Requests that are sent again after each reload, and what came of it."""

import hashlib
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .requests import SAFE, Key, Request, refusal
from .text import clean, duration, millis, size

MOST = 20
KEPT = 10  # answers a pin
SLOWER = 2.0  # times as long, and
SLOWER_MS = 20.0  # by so much, is a change worth a word


class Answer(NamedTuple):
    """What came back: the status, the body's size and digest, and how long it took."""

    status: int
    bytes: int
    digest: str
    ms: float
    gen: int = 0
    error: str = ""  # no whole answer: why
    t: float = 0.0

    def words(self) -> str:
        if self.error:
            return self.error
        return f"{self.status} · {size(self.bytes)} · {duration(self.ms)}"


def compare(before: Answer, after: Answer) -> List[str]:
    """What is different, in words; empty when all is as it was."""
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
    if after.ms > before.ms * SLOWER and after.ms > before.ms + SLOWER_MS:
        changes.append(f"{millis(before.ms)} → {duration(after.ms)}")
    return changes


def answer_of(row: Any) -> Optional[Answer]:
    """The answer that `row` itself got, to compare later ones with; None if it is not known
    whole, or was compressed, which what is sent again does not ask for."""
    response = row.response
    if response is None or not response.body_whole or response.field("content-encoding"):
        return None
    digest = hashlib.sha256(response.body or b"").hexdigest()
    return Answer(row.status, response.size, digest, row.ms, row.gen, "", row.t)


class Pins:
    """Requests that are pinned, each with its last answers. What they carry stays in memory."""

    def __init__(self) -> None:
        self._pins: Dict[Key, Tuple[Request, List[Answer]]] = {}
        self.revision = 0

    def __len__(self) -> int:
        return len(self._pins)

    def __contains__(self, key: Key) -> bool:
        return key in self._pins

    def keys(self) -> List[Key]:
        return list(self._pins)

    def requests(self) -> List[Request]:
        return [request for request, _ in self._pins.values()]

    def kept(self) -> List[Key]:
        """What is worth remembering, and harmless on disk: methods and targets only."""
        return [key for key in self._pins if key[0] in SAFE and len(key) == 2]

    def toggle(self, request: Request) -> bool:
        """Pin or unpin; whether it is pinned now."""
        self.revision += 1
        if self._pins.pop(request.key, None) is not None:
            return False
        if len(self._pins) >= MOST:
            del self._pins[next(iter(self._pins))]
        self._pins[request.key] = (request, [])
        return True

    def unpin(self, key: Key) -> None:
        self.revision += 1
        self._pins.pop(key, None)

    def answered(self, key: Key, answer: Answer) -> Optional[List[str]]:
        """Keep an answer; what has changed against the one before, None for the first."""
        if key not in self._pins:
            return None
        answers = self._pins[key][1]
        changes = compare(answers[-1], answer) if answers else None
        answers.append(answer)
        del answers[:-KEPT]
        self.revision += 1
        return changes

    def answers(self, key: Key) -> List[Answer]:
        return self._pins[key][1] if key in self._pins else []

    def restore(self, saved: Any) -> None:
        """Pins from an earlier run, as `kept()` gave them."""
        if not isinstance(saved, list):
            return
        for entry in saved[:MOST]:
            if isinstance(entry, list) and len(entry) == 2:
                method, target = (clean(part) for part in entry)
                if not refusal(method, target) and (method, target) not in self:
                    self.toggle(Request(method, target))
