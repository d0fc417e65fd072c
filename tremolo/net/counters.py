"""Plain integers that the hot path bumps in place; whoever wants to see them samples them.

Everything here only grows, so that a reader that misses a sample loses nothing.
"""

from typing import List

#: sixteen buckets for each power of two of microseconds, up to 71 minutes
LATENCY_BUCKETS = 464


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
        #: finished exchanges by duration: see `latency_bucket`
        self.latency: List[int] = [0] * LATENCY_BUCKETS


def latency_bucket(seconds: float) -> int:
    """Index of the bucket of a duration: microseconds below 16 count singly, then each power
    of two is cut in sixteen."""
    us = int(seconds * 1e6)
    if us < 16:
        return us if us > 0 else 0
    bits = us.bit_length()
    if bits > 32:
        return LATENCY_BUCKETS - 1
    return (bits - 4) * 16 + ((us >> (bits - 5)) & 15)
