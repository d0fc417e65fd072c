"""Sums over workers that come and go; histograms."""

import random
from bisect import bisect_right

import pytest

from tremolo.telemetry import histogram
from tremolo.telemetry.rollup import Rollup


def frame(pid, requests, **more):
    return {"kind": "frame", "pid": pid, "totals": {
        "requests": requests, "status": [0, requests, 0, 0, 0], "bytes_in": requests * 10,
        "latency": {"8": requests}, "open": 2, **more}}


def test_sums_never_go_backwards_when_a_worker_ends():
    rollup = Rollup()
    rollup.update(frame(1, 10))
    rollup.update(frame(2, 5))
    rollup.update(frame(1, 12))
    assert rollup.totals()["requests"] == 17
    assert rollup.totals()["open"] == 4
    rollup.ended(1)
    rollup.update(frame(1, 3))  # a late frame
    totals = rollup.totals()
    assert (totals["requests"], totals["open"], totals["status"][1]) == (17, 2, 17)
    assert totals["latency"] == {"8": 17}
    rollup.started(1)  # the system gave the number to another process
    rollup.update(frame(1, 1))
    assert rollup.totals()["requests"] == 18


@pytest.mark.parametrize("totals", [
    None, [], {"requests": -5}, {"requests": "7"}, {"requests": True}, {"status": "x"},
    {"status": [None] * 9}, {"latency": {"x": 1, "5": "y", "999": 3}}, {"latency": 5}])
def test_nonsense_counts_nothing(totals):
    rollup = Rollup()
    rollup.update({"kind": "frame", "pid": 1, "totals": totals})
    rollup.update({"kind": "frame", "pid": "x", "totals": {"requests": 1}})
    assert rollup.totals()["requests"] == 0
    assert sum(rollup.totals()["status"]) == 0
    rollup.sample(0.0)
    rollup.latency()


def test_rates_are_over_the_last_second_and_latencies_over_the_window():
    rollup = Rollup(window=10.0)
    for second in range(30):
        rollup.update(frame(1, second * 100))
        rollup.sample(float(second))
    assert rollup.rates()["requests"] == pytest.approx(100)
    assert rollup.rates()["bytes_in"] == pytest.approx(1000)
    assert set(rollup.latency()) == {"p50", "p95", "p99", "max"}


def test_buckets_are_contiguous_and_agree_with_the_counters():
    from tremolo.net.counters import LATENCY_BOUNDS, LATENCY_BUCKETS

    assert histogram.BUCKETS == LATENCY_BUCKETS
    for index in range(histogram.BUCKETS - 1):
        low, high = histogram.lower_bound(index), histogram.lower_bound(index + 1)
        assert low < high
        assert histogram.bucket(low + 1e-9) == index
    for _ in range(1000):
        seconds = random.Random(_).expovariate(1) * 10 ** random.Random(_).randint(-6, 3)
        assert histogram.bucket(seconds) == bisect_right(LATENCY_BOUNDS, seconds)


def test_quantiles_have_two_digits_and_are_those_of_the_nearest_rank():
    values = [i / 1000 for i in range(1, 1001)]
    counts = {}
    for value in values:
        index = histogram.bucket(value)
        counts[index] = counts.get(index, 0) + 1
    for share in (0.5, 0.95, 0.99):
        found, = histogram.quantiles(counts, share)
        assert found == pytest.approx(share, rel=1 / 32 + 0.005)
        assert found == float(f"{found:.2g}")
    for alone in (0.000_003, 0.0041, 0.7016, 12.0):
        few = {histogram.bucket(alone): 1, histogram.bucket(alone / 100): 1}
        assert histogram.quantiles(few, 0.5, 0.51, 0.99, 1.0) == pytest.approx(
            [alone / 100, alone, alone, alone], rel=0.1, abs=1e-6)
    assert histogram.quantiles({histogram.bucket(0.7016): 5}, 0.99) == [0.70]
    assert list(histogram.quantiles({}, 0.5, 0.9)) == [0.0, 0.0]


def test_quantiles_of_estimates_which_are_no_whole_numbers_are_found_too():
    index = histogram.bucket(0.7016)
    for count in (0.3, 1.5, 20.4, 62.66):
        assert list(histogram.quantiles({index: count}, 0.5, 0.99, 1.0)) == [0.70] * 3
