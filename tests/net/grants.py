"""Buckets that are asked by a clock which the tests turn themselves, and what they grant."""

TICK = 0.02
PLENTY = 10**9
RATES = [10_000, 100_000, 1_000_000, 50_000_000]


def ticks(seconds, tick=TICK, begin=0.0):
    return [begin + n * tick for n in range(1, round(seconds / tick) + 1)]


def drain(bucket, instants, wanted=PLENTY):
    """Ask at each instant; the grants as pairs (instant, bytes)."""
    return [(now, bucket.grant(now, wanted)) for now in instants]


def most_in_window(grants, window=0.1):
    """The most bytes in any half-open window."""
    most = total = first = 0
    for now, count in grants:
        total += count
        while grants[first][0] <= now - window + 1e-6:
            total -= grants[first][1]
            first += 1
        most = max(most, total)
    return most
