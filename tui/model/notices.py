"""What the status row says, and what it said: the last notices, and the failures that stand.

A failure with a topic stands until it is cured (the next good generation, a worker that goes
on) or seen (the list of notices was opened). While one stands, exceptions of requests do not
take its place: they have a pane and a count of their own.
"""

from collections import deque
from typing import Deque, Dict, Optional

KEPT = 200
BRIEF = 4.0  # seconds that other notices are shown while a failure stands

KINDS = ("info", "good", "warning", "error")


class Notice:
    """`kind` is one of KINDS, `at` an instant of the model's clock; `minor` ones do not take
    the place of a failure. Equal ones in a row are counted."""

    __slots__ = ("at", "count", "kind", "minor", "text", "topic", "uid")

    def __init__(self, uid: int, at: float, text: str, kind: str, topic: str, minor: bool
                 ) -> None:
        self.uid = uid
        self.at = at
        self.text = text
        self.kind = kind
        self.topic = topic
        self.minor = minor
        self.count = 1


class Notices:
    def __init__(self) -> None:
        self.items: Deque[Notice] = deque(maxlen=KEPT)
        self.standing: Dict[str, Notice] = {}
        self.revision = 0
        self._next_uid = 1

    def add(self, text: str, kind: str, now: float, topic: str = "", minor: bool = False
            ) -> Notice:
        self.revision += 1
        last = self.newest
        if last is not None and (last.text, last.kind, last.topic) == (text, kind, topic):
            last.count += 1
            last.at = now
            notice = last
        else:
            notice = Notice(self._next_uid, now, text, kind, topic, minor)
            self._next_uid += 1
            self.items.append(notice)
        if topic:
            self.standing.pop(topic, None)  # the newest of all stands last
            self.standing[topic] = notice
        return notice

    def cure(self, topic: str) -> bool:
        """What `topic` failed in works again; whether that stood here."""
        stood = self.standing.pop(topic, None) is not None
        self.revision += stood
        return stood

    def seen(self) -> None:
        """The user has looked at all of them."""
        if self.standing:
            self.standing.clear()
            self.revision += 1

    @property
    def newest(self) -> Optional[Notice]:
        return self.items[-1] if self.items else None

    def shown(self, now: float) -> Optional[Notice]:
        """The one for the status row."""
        newest = self.newest
        if not self.standing or newest is None:
            return newest
        if newest.topic not in self.standing and not newest.minor and now - newest.at < BRIEF:
            return newest
        return next(reversed(list(self.standing.values())))
