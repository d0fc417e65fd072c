"""Plain integers that the hot path bumps in place; whoever wants to see them samples them.

Everything here only grows, so that a reader that misses a sample loses nothing.
"""

from typing import List

#: where each bucket of durations but the first begins, in seconds: microseconds below 16 count
#: singly, then each power of two is cut in sixteen. `bisect_right` finds a duration's bucket
LATENCY_BOUNDS = [us / 1e6 for us in range(1, 16)] + [
    ((16 + part) << octave) / 1e6 for octave in range(28) for part in range(16)]
#: up to 71 minutes
LATENCY_BUCKETS = len(LATENCY_BOUNDS) + 1


class Counters:
    """What one server has done since it started. Byte counts are those of the wire."""

    __slots__ = (
        "aborted", "bytes_in", "bytes_out", "connections", "errors", "latency",
        "protocol_errors", "requests", "status", "writes",
    )

    def __init__(self) -> None:
        self.requests = 0
        #: responses by class: index 1 to 5; index 0 is unused
        self.status: List[int] = [0] * 10
        self.bytes_in = 0
        self.bytes_out = 0
        self.writes = 0
        self.connections = 0
        self.aborted = 0
        self.protocol_errors = 0
        self.errors = 0
        #: finished exchanges by duration: see `LATENCY_BOUNDS`
        self.latency: List[int] = [0] * LATENCY_BUCKETS
