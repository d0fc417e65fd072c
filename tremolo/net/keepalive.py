"""Whether the silent peer of a WebSocket is still there: when to ping it, when to give it up.

Arithmetic of instants and byte counts; whoever has it sends the pings. Any bytes are a sign of
life: a pong may be behind a long message.
"""

from typing import Tuple

from .ticker import NEVER

#: seconds between pings, and for a sign of life to come after one
PING_INTERVAL = 20.0
PING_TIMEOUT = 20.0

#: what to do at a look
WAIT, SEND_PING, GIVE_UP = "wait", "send ping", "give up"


class Keepalive:
    """The pings of one WebSocket, `interval` seconds apart."""

    __slots__ = ("_bytes_in", "_pinged", "interval")

    def __init__(self) -> None:
        self.interval = PING_INTERVAL
        #: when the last ping was sent, 0 when a sign of life has come since; and how much had
        #: been read by then
        self._pinged = 0.0
        self._bytes_in = 0

    def look(self, now: float, bytes_in: int) -> Tuple[str, float]:
        """What to do at `now`, with `bytes_in` read so far: WAIT, SEND_PING or GIVE_UP; and the
        instant of the next look."""
        pinged = self._pinged
        if pinged and bytes_in == self._bytes_in:
            due = pinged + PING_TIMEOUT
            return (WAIT, due) if now < due else (GIVE_UP, NEVER)
        if pinged and now < pinged + self.interval:
            self._pinged = 0.0
            return WAIT, pinged + self.interval
        self._pinged = now
        self._bytes_in = bytes_in
        return SEND_PING, now + min(PING_TIMEOUT, self.interval)

    def suspend(self, now: float) -> float:
        """Nothing can come, for we do not read, or the ping could not leave: no silence is the
        peer's. The instant of the next look."""
        self._pinged = 0.0
        return now + self.interval
