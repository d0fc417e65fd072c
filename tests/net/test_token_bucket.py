"""One bucket: exact on average, bounded in any interval, whatever changes."""

import math
import random

import pytest

from tests.net.grants import PLENTY, RATES, TICK, drain, most_in_window, ticks
from tremolo.net.throttling.bucket import RateLimit, TokenBucket

# Exactness


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("tick", [0.005, 0.01, 0.02, 0.03, 0.05])
def test_the_average_is_the_rate_whatever_the_tick(rate, tick):
    bucket = TokenBucket(RateLimit(rate, 0.0), 0.0)
    total = sum(count for _, count in drain(bucket, ticks(5, tick)))
    assert total == pytest.approx(5 * rate, rel=0.01)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seed", range(5))
def test_late_ticks_lose_nothing_and_stay_below_the_peak(rate, seed):
    rng = random.Random(seed)
    now, instants = 0.0, []
    while now < 5:
        late = rng.choice([0, 0, 0, 0.001, 0.004, 0.03])
        now += TICK + late
        instants.append(now)
    bucket = TokenBucket(RateLimit(rate, 0.0), 0.0)
    grants = drain(bucket, instants)
    assert sum(n for _, n in grants) == pytest.approx(now * rate, rel=0.012)
    assert most_in_window(grants) <= 0.13 * rate + 1


@pytest.mark.parametrize("rate", RATES)
def test_time_lost_to_a_blocked_loop_is_paid_back_below_the_peak(rate):
    instants = ticks(1) + ticks(4, begin=1.2)
    grants = drain(TokenBucket(RateLimit(rate, 0.0), 0.0), instants)
    assert sum(n for _, n in grants) == pytest.approx(5.2 * rate, rel=0.01)
    assert most_in_window(grants) <= 0.13 * rate + 1


@pytest.mark.parametrize("rate", [1, 3, 50, 1000])
def test_very_low_rates_pass_whole_bytes(rate):
    grants = drain(TokenBucket(RateLimit(rate, 0.0), 0.0), ticks(60))
    assert sum(n for _, n in grants) == pytest.approx(60 * rate, abs=max(2, rate * 0.15))


@pytest.mark.parametrize("seed", range(20))
def test_any_interval_is_bounded_through_any_sequence_of_changes(seed):
    """granted <= integral of the rate + burst, over every interval, for 1000 changes."""
    rng = random.Random(seed)
    limit = RateLimit(rng.choice(RATES), 0.0)
    bucket = TokenBucket(limit, 0.0)
    now, highest = 0.0, limit.burst
    # granted minus due: where it was lowest began the worst interval that ends now
    lowest = 0.0
    for _ in range(1000):
        for _ in range(rng.randrange(4)):
            now += rng.choice([0.0, 0.001, TICK, TICK, 0.3 * rng.random()])
            wanted = rng.choice([1, 1000, 65536, PLENTY])
            lowest = min(lowest, bucket.total - limit.served(now))
            granted = bucket.grant(now, wanted)
            assert 0 <= granted <= wanted
            assert bucket.total - limit.served(now) - lowest <= highest + 1
        now += rng.random() * 0.01
        limit.change(rng.choice([0, 1, 10 ** rng.uniform(1, 7.7)]), now)
        highest = max(highest, limit.burst)


@pytest.mark.parametrize("seed", range(10))
def test_the_burst_is_that_of_the_rates_in_the_interval(seed):
    """As above, interval by interval, with the largest burst in force within it."""
    rng = random.Random(seed)
    limit = RateLimit(1_000_000, 0.0)
    bucket = TokenBucket(limit, 0.0)
    now, points = 0.0, []
    for _ in range(150):
        now += rng.choice([0.001, TICK, 0.1])
        begin = limit.served(now) - bucket.total
        bucket.grant(now, rng.choice([500, 65536, PLENTY]))
        points.append((begin, limit.served(now) - bucket.total, limit.burst))
        if rng.random() < 0.5:
            limit.change(10 ** rng.uniform(1, 7.7), now)
    for i, (begin, _, _) in enumerate(points):
        burst = 0.0
        for _, end, in_force in points[i:]:
            burst = max(burst, in_force)
            assert begin - end <= burst + 1


@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_changes_keep_the_average(seed):
    rng = random.Random(seed)
    limit = RateLimit(1_000_000, 0.0)
    bucket = TokenBucket(limit, 0.0)
    now, grants, highest = 0.0, [], 1_000_000.0
    for _ in range(1000):
        for _ in range(rng.randrange(1, 4)):
            now += TICK
            grants.append((now, bucket.grant(now, PLENTY)))
        rate = 10 ** rng.uniform(4, 7.7)
        limit.change(rate, now - TICK * rng.random())
        highest = max(highest, rate)
    assert bucket.total == sum(n for _, n in grants)
    assert bucket.total == pytest.approx(limit.served(now), rel=0.01)
    assert most_in_window(grants) <= 0.13 * highest + 1


@pytest.mark.parametrize("rate", RATES)
def test_from_rest_no_more_than_thirty_milliseconds_worth_pass_at_once(rate):
    bucket = TokenBucket(RateLimit(rate, 0.0), 0.0)
    assert bucket.grant(0.0, PLENTY) == pytest.approx(0.03 * rate)
    bucket = TokenBucket(RateLimit(rate, 0.0), 0.0)
    assert bucket.grant(1000.0, PLENTY) == pytest.approx(0.03 * rate)


@pytest.mark.parametrize("rate", RATES)
def test_a_pause_of_the_application_gains_no_credit(rate):
    bucket = TokenBucket(RateLimit(rate, 0.0), 0.0)
    drain(bucket, ticks(1))
    while bucket.grant(1.5, 1000) == 1000:
        pass
    grants = drain(bucket, ticks(1, begin=2.0), wanted=1)
    grants = drain(bucket, ticks(1, begin=4.0))
    assert sum(n for _, n in grants) <= rate * 1.03 + 1


@pytest.mark.parametrize("chunk", [1000, 16384, 65536])
@pytest.mark.parametrize("rate", RATES)
def test_chunks_that_follow_each_other_reach_the_rate(rate, chunk):
    """The application gives the next chunk when the last one is through."""
    rng = random.Random(chunk)
    bucket = TokenBucket(RateLimit(rate, 0.0), 0.0)
    now, total, left = 0.0, 0, chunk
    while now < 10:
        now += rng.choice([0.02, 0.021, 0.024, 0.06])
        while True:
            granted = bucket.grant(now, left)
            total += granted
            left -= granted
            if left:
                break
            left = chunk
    assert total == pytest.approx(now * rate, rel=0.01)


# Debts, changes, zero


def test_what_was_read_too_much_is_a_debt_that_is_waited_for():
    bucket = TokenBucket(RateLimit(100_000, 0.0), 0.0)
    bucket.charge(0.0, 80_000)
    assert bucket.grant(0.5, PLENTY) == 0
    grants = drain(bucket, ticks(5))
    assert sum(n for _, n in grants) + 80_000 == pytest.approx(500_000, rel=0.01)


def test_what_was_granted_in_vain_is_given_back():
    bucket = TokenBucket(RateLimit(100_000, 0.0), 0.0)
    granted = bucket.grant(0.0, PLENTY)
    bucket.repay(0.0, granted)
    assert bucket.total == 0
    assert bucket.grant(0.0, PLENTY) == granted


def test_allowance_takes_nothing():
    bucket = TokenBucket(RateLimit(100_000, 0.0), 0.0)
    assert [bucket.allowance(0.0, 65536) for _ in range(3)] == [3000, 3000, 3000]
    bucket.charge(0.0, 100)
    assert bucket.allowance(0.0, 65536) == 2900


def test_reading_by_allowance_and_charge_keeps_the_average():
    bucket = TokenBucket(RateLimit(200_000, 0.0), 0.0)
    total = 0
    for now in ticks(5):
        while True:
            allowed = bucket.allowance(now, 65536)
            if not allowed:
                break
            bucket.charge(now, allowed)
            total += allowed
    assert total == pytest.approx(1_000_000, rel=0.01)


def test_zero_lets_nothing_pass_and_leaves_no_credit():
    limit = RateLimit(1_000_000, 0.0)
    bucket = TokenBucket(limit, 0.0)
    limit.change(0, 1.0)
    assert sum(n for _, n in drain(bucket, ticks(5, begin=1.0))) == 0
    assert bucket.ready_at(6.0, 1) == math.inf
    limit.change(1_000_000, 6.0)
    assert bucket.grant(6.0, PLENTY) == 0
    assert bucket.grant(6.02, PLENTY) == pytest.approx(20_000, abs=1)


def test_a_slow_rate_inherits_no_credit_of_a_fast_one():
    limit = RateLimit(50_000_000, 0.0)
    bucket = TokenBucket(limit, 0.0)
    limit.change(10_000, 1.0)
    assert bucket.grant(1.0, PLENTY) <= 300


def test_unlimited_forgets_debts_and_gives_no_credit():
    limit = RateLimit(1000, 0.0)
    bucket = TokenBucket(limit, 0.0)
    bucket.charge(0.0, 10**6)
    limit.change(None, 1.0)
    assert bucket.grant(1.0, PLENTY) == PLENTY
    limit.change(1000, 2.0)
    assert bucket.grant(2.0, PLENTY) <= 30
    grants = drain(bucket, ticks(5, begin=2.0))
    assert sum(n for _, n in grants) == pytest.approx(5000, rel=0.02)


def test_a_clock_that_stands_or_goes_back_grants_nothing_more():
    limit = RateLimit(100_000, 10.0)
    bucket = TokenBucket(limit, 10.0)
    assert bucket.grant(10.0, PLENTY) == 3000
    assert bucket.grant(10.0, PLENTY) == 0
    assert bucket.grant(9.0, PLENTY) == 0
    limit.change(50_000, 9.0)
    assert bucket.grant(10.0, PLENTY) == 0


@pytest.mark.parametrize("rate", [-1, math.nan, math.inf, -math.inf])
def test_a_rate_must_be_finite_and_not_negative(rate):
    with pytest.raises(ValueError, match="finite"):
        RateLimit(rate, 0.0)


@pytest.mark.parametrize("rate", [1, 100, 10_000, 60_000, 1_000_000, 50_000_000])
@pytest.mark.parametrize("wanted", [1, 300, 65536])
def test_asking_when_told_is_soon_enough_and_not_too_early(rate, wanted):
    bucket = TokenBucket(RateLimit(rate, 0.0), 0.0)
    now, total = 0.0, 0
    for _ in range(200):
        granted = bucket.grant(now, wanted)
        total += granted
        assert granted or not now
        ready = bucket.ready_at(now, wanted)
        assert now <= ready <= now + max(0.14, 1.1 / rate)
        early = ready - 1e-3 - 0.02 / rate
        if early > now:
            assert bucket.allowance(early, wanted) == 0
        now = ready
    assert total <= now * rate + max(0.03 * rate, 1) + 1
    assert total >= now * rate * 0.98 - 1
