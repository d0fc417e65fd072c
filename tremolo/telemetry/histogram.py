"""Latency histograms: logarithmic buckets, sixteen an octave, from a microsecond to an hour.

A bucket index is arithmetic on the number of microseconds, so that counting costs next to
nothing and histograms of several processes are added by adding their counts. The middle of a
bucket is at most 1/32 off, so that what is told of it has two significant digits.
"""

import math
from typing import Dict, Mapping, Sequence, Union

BUCKETS = 464

Counts = Union[Sequence[int], Mapping[str, int]]


def bucket(seconds: float) -> int:
    """The index of the bucket that counts a duration of `seconds`."""
    us = int(seconds * 1e6)
    if us < 16:
        return us if us > 0 else 0
    bits = us.bit_length()
    index = ((bits - 4) << 4) + ((us >> (bits - 5)) & 15)
    return index if index < BUCKETS else BUCKETS - 1


def lower_bound(index: int) -> float:
    """The smallest duration in seconds that falls into bucket `index`."""
    if index < 16:
        return index / 1e6
    return ((16 + (index & 15)) << ((index >> 4) - 1)) / 1e6


def sparse(counts: Sequence[int]) -> Dict[str, int]:
    """The buckets that are not empty, as JSON carries them."""
    return {str(index): count for index, count in enumerate(counts) if count}


def dense(counts: Counts) -> Dict[int, int]:
    """Counts by bucket, from a list or from what JSON carried; unknown buckets are dropped."""
    if isinstance(counts, Mapping):
        return {int(index): count for index, count in counts.items()
                if str(index).isdigit() and int(index) < BUCKETS and isinstance(count, int)}
    return {index: count for index, count in enumerate(counts[:BUCKETS]) if count}


def subtract(later: Mapping[int, int], earlier: Mapping[int, int]) -> Dict[int, int]:
    """What was counted between two states of one cumulative histogram."""
    found = {}
    for index, count in later.items():
        more = count - earlier.get(index, 0)
        if more > 0:
            found[index] = more
    return found


def quantiles(counts: Mapping[int, float], *wanted: float) -> Sequence[float]:
    """The durations in seconds of which the `wanted` shares (0..1) of the counts are not longer,
    by the nearest rank, to two significant digits. All zero when nothing was counted. Counts
    may be estimates, which are no whole numbers.
    """
    total = sum(counts.values())
    if not total:
        return [0.0] * len(wanted)
    ordered = sorted(counts.items())
    last = ordered[-1][0]
    found = []
    for share in wanted:
        rank, seen = max(1, math.ceil(share * total - 1e-9)), 0.0
        for index, count in ordered:
            seen += count
            if seen >= rank or index == last:  # a rank may be beyond the sum of estimates
                middle = (lower_bound(index) + lower_bound(index + 1)) / 2
                found.append(float(f"{middle:.2g}"))
                break
    return found
