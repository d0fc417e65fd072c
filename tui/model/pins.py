"""Requests that are sent again after each reload, and what came of it."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .text import clean, millis, size

SAFE = ("GET", "HEAD")
MOST = 20
KEPT = 10  # answers a pin
SLOWER = 2.0  # times as long, and
SLOWER_MS = 20.0  # by so much, is a change worth a word

Key = Tuple[str, str]  # method, target


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
        return f"{self.status} · {size(self.bytes)} · {millis(self.ms)} ms"


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
        changes.append(f"{millis(before.ms)} → {millis(after.ms)} ms")
    return changes


def refusal(method: str, target: str) -> str:
    """Why this request cannot be sent again; "" if it can."""
    if method not in SAFE:
        return (f"{method} is not replayed: its headers and body are not known here; "
                "y copies it as curl")
    if not target.startswith("/") or not target.isascii() or not target.isprintable() \
            or " " in target or len(target) >= 250:
        return "its target is not known whole; it is not replayed"
    return ""


class Pins:
    def __init__(self) -> None:
        self._answers: Dict[Key, List[Answer]] = {}
        self.revision = 0

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, key: Key) -> bool:
        return key in self._answers

    def keys(self) -> List[Key]:
        return list(self._answers)

    def toggle(self, key: Key) -> bool:
        """Pin or unpin; whether it is pinned now."""
        self.revision += 1
        if self._answers.pop(key, None) is not None:
            return False
        if len(self._answers) >= MOST:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = []
        return True

    def answered(self, key: Key, answer: Answer) -> Optional[List[str]]:
        """Keep an answer; what has changed against the one before, None for the first."""
        answers = self._answers.get(key)
        if answers is None:
            return None
        changes = compare(answers[-1], answer) if answers else None
        answers.append(answer)
        del answers[:-KEPT]
        self.revision += 1
        return changes

    def answers(self, key: Key) -> List[Answer]:
        return self._answers.get(key, [])

    def restore(self, saved: Any) -> None:
        """Pins from an earlier run, as `keys()` gave them."""
        if not isinstance(saved, list):
            return
        for entry in saved[:MOST]:
            if isinstance(entry, list) and len(entry) == 2:
                method, target = (clean(part) for part in entry)
                if not refusal(method, target) and (method, target) not in self:
                    self.toggle((method, target))
