"""Flows that share a bucket, and flows that several gates hold back."""

import random
import sys

import pytest

from tests.net.grants import PLENTY, TICK, drain, most_in_window, ticks
from tests.support.growth import calls_of
from tremolo.net.throttling.bucket import RateLimit, TokenBucket
from tremolo.net.throttling.flow import UNLIMITED, Flow
from tremolo.net.throttling.shared_bucket import SharedBucket

# Sharing


def drain_all(shares, instants):
    """What each got of shares that all ask for plenty at each instant."""
    got = [0] * len(shares)
    for now in instants:
        for n, share in enumerate(shares):
            got[n] += share.grant(now, PLENTY)
    return got


def run_shared(rate, flows, seconds, tick=TICK, jitter=0.0):
    rng = random.Random(0)
    bucket = SharedBucket(RateLimit(rate, 0.0), 0.0)
    shares = [bucket.join() for _ in range(flows)]
    got = [0] * flows
    grants = []
    for now in ticks(seconds, tick):
        now += jitter * rng.random()
        for n, share in enumerate(shares):
            granted = share.grant(now, PLENTY)
            got[n] += granted
            grants.append((now, granted))
    return got, grants


@pytest.mark.parametrize("rate", [6400, 10_000, 50_000, 1_000_000, 50_000_000])
@pytest.mark.parametrize("flows", [1, 2, 10])
@pytest.mark.parametrize("tick, jitter", [(TICK, 0.0), (TICK, 0.005), (0.01, 0.002)])
def test_flows_that_share_get_the_same_and_together_the_rate(rate, flows, tick, jitter):
    got, grants = run_shared(rate, flows, 5, tick=tick, jitter=jitter)
    assert sum(got) == pytest.approx(5 * rate, rel=0.015)
    assert max(got) / min(got) < 1.1
    assert most_in_window(grants) <= 0.13 * rate + flows


def test_what_one_flow_does_not_want_goes_to_the_others():
    bucket = SharedBucket(RateLimit(1_000_000, 0.0), 0.0)
    light, *heavy = [bucket.join() for _ in range(4)]
    got, backlog = [0, 0, 0], 0
    for now in ticks(5):
        for n, share in enumerate(heavy):
            got[n] += share.grant(now, PLENTY)
        backlog += 100
        backlog -= light.grant(now, backlog)
        assert backlog <= 300
    assert sum(got) + 25_000 == pytest.approx(5_000_000, rel=0.01)
    assert max(got) / min(got) < 1.05


def test_a_flow_that_stops_asking_leaves_its_part_to_the_others():
    bucket = SharedBucket(RateLimit(1_000_000, 0.0), 0.0)
    a, b = bucket.join(), bucket.join()
    drain_all([a, b], ticks(1))
    total = sum(a.grant(now, PLENTY) for now in ticks(2, begin=1.0))
    assert total == pytest.approx(2_000_000, rel=0.05)


def test_a_flow_that_comes_back_gets_no_more_than_those_that_stayed():
    bucket = SharedBucket(RateLimit(1_000_000, 0.0), 0.0)
    a, b = bucket.join(), bucket.join()
    drain_all([a, b], ticks(1))
    drain(a, ticks(3, begin=1.0))
    got_a, got_b = drain_all([a, b], ticks(1, begin=4.0))
    assert got_b == pytest.approx(got_a, rel=0.1)


def test_what_a_flow_had_alone_does_not_count_against_it():
    bucket = SharedBucket(RateLimit(1_000_000, 0.0), 0.0)
    a = bucket.join()
    for now in ticks(10):
        assert a.grant(now, 10_000) == 10_000
    b = bucket.join()
    got_a, got_b = drain_all([a, b], ticks(2, begin=10.0))
    assert got_a == pytest.approx(got_b, rel=0.05)


def test_a_late_tick_is_divided_fairly_too():
    bucket = SharedBucket(RateLimit(1_000_000, 0.0), 0.0)
    shares = [bucket.join() for _ in range(10)]
    for now in ticks(1) + [1.3]:
        got = [share.grant(now, PLENTY) for share in shares]
    assert sum(got) == pytest.approx(130_000, abs=10)
    assert min(got) > 10_000


def test_flows_that_come_and_go_share_fairly_with_those_that_stay():
    rng = random.Random(5)
    bucket = SharedBucket(RateLimit(2_000_000, 0.0), 0.0)
    steady = [bucket.join() for _ in range(3)]
    got = [0, 0, 0]
    total = 0
    passing = None
    for now in ticks(10):
        if rng.random() < 0.1:
            if passing is not None:
                passing.leave()
            passing = bucket.join()
        if passing is not None:
            total += passing.grant(now, 20_000)
        for n, share in enumerate(steady):
            granted = share.grant(now, PLENTY)
            got[n] += granted
            total += granted
    assert total == pytest.approx(20_000_000, rel=0.01)
    assert max(got) / min(got) < 1.05


def test_a_share_that_left_holds_nothing():
    bucket = SharedBucket(RateLimit(100_000, 0.0), 0.0)
    a, b = bucket.join(), bucket.join()
    drain_all([a, b], ticks(1))
    b.leave()
    assert bucket.members == 1
    assert bucket.waiting == 1
    assert sum(n for _, n in drain(a, ticks(1, begin=1.0))) == pytest.approx(100_000, rel=0.05)


def test_a_thousand_flows_of_a_slow_link_make_few_writes():
    bucket = SharedBucket(RateLimit(50_000, 0.0), 0.0)
    shares = [bucket.join() for _ in range(1000)]
    grants = [share.grant(now, PLENTY) for now in ticks(2) for share in shares]
    assert sum(grants) == pytest.approx(100_000, rel=0.05)
    assert min(n for n in grants if n) >= 100


# A flow of several gates


def test_a_flow_is_as_slow_as_its_slowest_gate_and_charges_all():
    fast = TokenBucket(RateLimit(1_000_000, 0.0), 0.0)
    slow = TokenBucket(RateLimit(100_000, 0.0), 0.0)
    flow = Flow([fast, slow])
    assert flow.active
    total = sum(n for _, n in drain(flow, ticks(5)))
    assert total == pytest.approx(500_000, rel=0.01)
    assert fast.total == slow.total == total
    assert not fast.pending


def test_an_unlimited_flow_grants_all():
    assert not UNLIMITED.active
    assert UNLIMITED.grant(0.0, 12345) == 12345
    assert UNLIMITED.ready_at(7.0, 1) == 7.0


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts CPython's calls")
def test_a_grant_costs_few_calls():
    flow = Flow([TokenBucket(RateLimit(1_000_000, 0.0), 0.0)])
    drain(flow, ticks(1))
    assert calls_of(flow.grant, 1.02, 65536) <= 9
    assert calls_of(flow.grant, 1.021, 65536) <= 6
