"""Wishes sent to the supervisor, and what became of them."""

import json
from typing import Any, Callable, Dict, List, Optional

from tremolo.telemetry import builders

from .text import clean

FORGET = 30.0  # seconds after which an unanswered command is given up

Done = Callable[["Command"], None]


class Command:
    """One command; `ok` is None until the acknowledgement comes."""

    __slots__ = ("args", "done", "error", "label", "name", "ok", "result", "said", "sent", "seq",
                 "took")

    def __init__(self, seq: int, name: str, args: Dict[str, Any], sent: float, label: str,
                 done: Optional[Done], said: str) -> None:
        self.seq = seq
        self.name = name
        self.args = args
        self.sent = sent
        self.label = label
        self.said = said or f"{label}: done"  # to the user, once it has been done
        self.done = done
        self.ok: Optional[bool] = None
        self.error = ""
        self.result: Any = None
        self.took = 0.0  # seconds from sending to the answer

    def line(self) -> bytes:
        message = builders.command(self.seq, self.name, self.args)
        return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Commands:
    """Numbers commands, remembers those without an answer, and the newest throttle with one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seq = 0
        self.pending: Dict[int, Command] = {}
        self.outbox: List[Command] = []
        self.last_throttle: Optional[Command] = None
        self._looked_for = ""
        self.revision = 0
        self.on_given: Callable[[], None] = lambda: None

    def give(self, name: str, args: Optional[Dict[str, Any]] = None, label: str = "",
             done: Optional[Done] = None, said: str = "") -> Command:
        """Queue a command; whoever owns the feed's socket takes it from `outbox`."""
        self._seq += 1
        command = Command(self._seq, name, args or {}, self._clock(), label or name, done, said)
        self.pending[command.seq] = command
        self.outbox.append(command)
        self.revision += 1
        self.on_given()
        return command

    def ack(self, message: Dict[str, Any]) -> Optional[Command]:
        command = self.pending.pop(message.get("seq", -1), None)
        if command is None:
            return None
        command.ok = bool(message.get("ok"))
        command.error = clean(message.get("error") or "")
        command.result = message.get("result")
        command.took = self._clock() - command.sent
        if command.name == "throttle":
            self.last_throttle = command
        self.revision += 1
        if command.done is not None:
            command.done(command)
        return command

    def tick(self, now: float, looked_for: str = "") -> None:
        """Forget what is not answered, and have workers choose what is `looked_for` by a filter
        where they cannot show all requests."""
        if looked_for != self._looked_for:
            self._looked_for = looked_for
            self.give("filter", {"filter": looked_for})
        for seq, command in list(self.pending.items()):
            if now - command.sent > FORGET:
                del self.pending[seq]
                self.revision += 1
