"""Buckets, shares and scopes, by a clock that the tests turn themselves."""

import math
import random
import sys

import pytest

from tests.support.growth import calls_of
from tremolo.net.throttling.bucket import RateLimit, TokenBucket
from tremolo.net.throttling.flow import UNLIMITED, Flow
from tremolo.net.throttling.pacer import Pacer
from tremolo.net.throttling.shared_bucket import SharedBucket
from tremolo.net.throttling.table import ThrottleTable
from tremolo.scope import InvalidScope
from tremolo.throttle import OFF, PRESETS, Throttle

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


# Sharing


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
    for now in ticks(1):
        a.grant(now, PLENTY)
        b.grant(now, PLENTY)
    total = sum(a.grant(now, PLENTY) for now in ticks(2, begin=1.0))
    assert total == pytest.approx(2_000_000, rel=0.05)


def test_a_flow_that_comes_back_gets_no_more_than_those_that_stayed():
    bucket = SharedBucket(RateLimit(1_000_000, 0.0), 0.0)
    a, b = bucket.join(), bucket.join()
    for now in ticks(1):
        a.grant(now, PLENTY)
        b.grant(now, PLENTY)
    drain(a, ticks(3, begin=1.0))
    got_a = got_b = 0
    for now in ticks(1, begin=4.0):
        got_a += a.grant(now, PLENTY)
        got_b += b.grant(now, PLENTY)
    assert got_b == pytest.approx(got_a, rel=0.1)


def test_what_a_flow_had_alone_does_not_count_against_it():
    bucket = SharedBucket(RateLimit(1_000_000, 0.0), 0.0)
    a = bucket.join()
    for now in ticks(10):
        assert a.grant(now, 10_000) == 10_000
    b = bucket.join()
    got_a = got_b = 0
    for now in ticks(2, begin=10.0):
        got_a += a.grant(now, PLENTY)
        got_b += b.grant(now, PLENTY)
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
    for now in ticks(1):
        a.grant(now, PLENTY)
        b.grant(now, PLENTY)
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


# Scopes


def table_with(*rules, **rates):
    table = ThrottleTable(0.0, **rates)
    for scope, throttle in rules:
        table.set(scope, throttle, 0.0)
    return table


def down(rate, **more):
    return Throttle(download=rate, **more)


RESOLVED = [
    ("nothing", [], b"/", None),
    ("everything", [("all", 1)], b"/", "*"),
    ("path over all", [("all", 1), ("/a/*", 2)], b"/a/b", "/a/*"),
    ("other path", [("all", 1), ("/a/*", 2)], b"/b", "*"),
    ("longest pattern", [("/a/*", 1), ("/a/b/*", 2), ("/*", 3)], b"/a/b/c", "/a/b/*"),
    ("exact over pattern", [("/a*", 1), ("/ab", 2)], b"/ab", "/ab"),
    ("connection over path", [("/a", 1), ("#7", 2), ("all", 3)], b"/a", "#7"),
    ("other connection", [("#8", 2)], b"/a", None),
    ("star spans slashes", [("/a/*.js", 1)], b"/a/b/c.js", "/a/*.js"),
    ("no partial match", [("/a", 1)], b"/ab", None),
    ("one segment", [("/i/{id}", 1)], b"/i/42", "/i/{id}"),
    ("one segment only", [("/i/{id}", 1)], b"/i/42/x", None),
    ("rest of the path", [("/i/{rest:path}", 1)], b"/i/42/x", "/i/{rest:path}"),
    ("other characters are literal", [("/a.b[c]", 1)], b"/a.b[c]", "/a.b[c]"),
    ("a dot is a dot", [("/a.b", 1)], b"/axb", None),
    ("percent-encoded path", [("/caf\u00e9/*", 1)], b"/caf%C3%A9/x", "/caf\u00e9/*"),
    ("percent-encoded pattern", [("/a%20b", 1)], b"/a%20b", "/a%20b"),
    ("connection of a worker", [("#4711.7", 1), ("all", 2)], b"/a", "#4711.7"),
    ("no path yet", [("/*", 1), ("all", 2)], None, "*"),
]


@pytest.mark.parametrize(
    "rules, path, scope", [row[1:] for row in RESOLVED], ids=[row[0] for row in RESOLVED])
def test_the_narrowest_rule_wins(rules, path, scope):
    table = table_with(*((scope, down(rate * 1000)) for scope, rate in rules))
    found = table.resolve(7, path)
    assert (found.scope if found else None) == scope


@pytest.mark.parametrize("rules, scope", [
    ([("client:10.0.0.7", 1), ("/api/*", 2), ("all", 3)], "client:10.0.0.7"),
    ([("client:10.0.0.7", 1), ("#7", 2)], "#7"), ([("client:10.0.0.8", 1), ("all", 2)], "*")])
def test_a_client_is_narrower_than_a_path_and_wider_than_a_connection(rules, scope):
    table = table_with(*((scope, down(rate * 1000)) for scope, rate in rules))
    pacer = Pacer(table, 7, "::ffff:10.0.0.7")
    pacer.begin(b"/api/x", 0.0)
    assert pacer.rule.scope == scope


def test_an_empty_table_costs_nothing():
    table = ThrottleTable(0.0)
    pacer = Pacer(table, 1, "a")
    assert not table.active and not pacer.active
    assert pacer.settled == pacer.generation == table.generation
    assert pacer.download is UNLIMITED and pacer.upload is UNLIMITED


def test_a_change_raises_the_generation_and_is_followed_by_refresh():
    table = ThrottleTable(0.0)
    pacer = Pacer(table, 1, "a")
    table.set("all", down(1000), 1.0)
    assert pacer.generation != table.generation
    pacer.refresh(1.0)
    assert pacer.generation == table.generation
    assert pacer.download.active and not pacer.upload.active
    table.set("all", None, 2.0)
    pacer.refresh(2.0)
    assert not pacer.active and not table.active


def test_a_change_of_rate_reaches_a_flow_that_did_not_refresh():
    table = table_with(("all", down(10_000)))
    pacer = Pacer(table, 1, "a")
    pacer.begin(b"/", 0.0)
    drain(pacer.download, ticks(1))
    table.set("all", down(1_000_000), 1.0)
    total = sum(n for _, n in drain(pacer.download, ticks(1, begin=1.0)))
    assert total == pytest.approx(1_000_000, rel=0.02)


def test_connections_of_one_address_share_a_link_and_others_do_not():
    table = table_with(("all", down(1_000_000)))
    pacers = [Pacer(table, n, address) for n, address in enumerate("aaabb")]
    for pacer in pacers:
        pacer.begin(b"/", 0.0)
    got = [0] * 5
    for now in ticks(5):
        for n, pacer in enumerate(pacers):
            got[n] += pacer.download.grant(now, PLENTY)
    assert sum(got[:3]) == pytest.approx(5_000_000, rel=0.01)
    assert sum(got[3:]) == pytest.approx(5_000_000, rel=0.01)


def test_ten_connections_share_a_preset_fairly():
    table = table_with(("all", PRESETS["slow-4g"]))
    pacers = [Pacer(table, n, "a") for n in range(10)]
    for pacer in pacers:
        pacer.begin(b"/", 0.0)
    got = [0] * 10
    for now in ticks(5):
        for n, pacer in enumerate(pacers):
            got[n] += pacer.download.grant(now, 65536)
    assert sum(got) == pytest.approx(5 * 180_000, rel=0.01)
    assert max(got) / min(got) < 1.1


@pytest.mark.parametrize("table", [
    pytest.param(table_with(download_rate=100_000), id="rate of the API"),
    pytest.param(table_with(("all", down(100_000, per_connection=True))), id="per connection"),
])
def test_rates_for_each_connection_are_not_shared(table):
    pacers = [Pacer(table, n, "a") for n in range(3)]
    for pacer in pacers:
        pacer.begin(b"/", 0.0)
        assert sum(n for _, n in drain(pacer.download, ticks(5))) == pytest.approx(
            500_000, rel=0.01)


def rate_of(pacer, seconds=5, begin=0.0):
    grants = drain(pacer.download, ticks(seconds, begin=begin))
    return sum(n for _, n in grants) / seconds


def test_the_handlers_own_rate_is_the_narrowest():
    table = table_with(("all", down(1000)), ("#1", down(10_000)))
    pacer = Pacer(table, 1, "a")
    pacer.begin(b"/", 0.0)
    pacer.set_rate(200_000, 0.0)
    assert rate_of(pacer) == pytest.approx(200_000, rel=0.01)
    pacer.begin(b"/", 5.0)
    assert rate_of(pacer, begin=5.0) == pytest.approx(10_000, rel=0.02)


def test_a_handlers_rate_of_zero_is_unlimited():
    pacer = Pacer(table_with(("all", down(1000))), 1, "a")
    pacer.begin(b"/", 0.0)
    pacer.set_rate(0, 0.0)
    assert not pacer.download.active


def test_a_handlers_rate_ends_with_its_response():
    table = ThrottleTable(0.0)
    pacer = Pacer(table, 1, "a")
    pacer.set_rate(1000, 0.0)
    assert pacer.active
    assert pacer.settled != table.generation
    pacer.begin(b"/", 1.0)
    assert not pacer.active
    assert pacer.settled == table.generation


def test_a_handlers_rate_does_not_lift_offline():
    pacer = Pacer(table_with(("all", PRESETS["offline"])), 1, "a")
    pacer.begin(b"/", 0.0)
    pacer.set_rate(1_000_000, 0.0)
    assert rate_of(pacer) == 0
    assert pacer.upload.grant(5.0, 100) == 0


def test_the_rate_of_the_api_works_beside_a_rule_for_all():
    table = table_with(("all", down(1_000_000)), download_rate=200_000)
    pacer = Pacer(table, 1, "a")
    pacer.begin(b"/", 0.0)
    assert rate_of(pacer) == pytest.approx(200_000, rel=0.01)


def test_off_exempts_a_path_from_wider_rules():
    table = table_with(("all", down(1000)), ("/static/*", OFF), download_rate=500)
    pacer = Pacer(table, 1, "a")
    pacer.begin(b"/static/x", 0.0)
    assert not pacer.active
    assert pacer.settled != table.generation
    pacer.begin(b"/x", 0.0)
    assert pacer.active


def test_the_total_caps_all_connections_and_is_shared_fairly():
    table = table_with(("total", down(500_000)), download_rate=100_000)
    pacers = [Pacer(table, n, n) for n in range(10)]
    for pacer in pacers:
        pacer.begin(b"/", 0.0)
    got = [0] * 10
    for now in ticks(5):
        for n, pacer in enumerate(pacers):
            got[n] += pacer.download.grant(now, PLENTY)
    assert sum(got) == pytest.approx(2_500_000, rel=0.01)
    assert max(got) / min(got) < 1.1
    assert table.rules()["total"].download == 500_000


def test_a_refresh_gives_no_second_burst():
    table = table_with(("all", down(1_000_000)))
    pacer = Pacer(table, 1, "a")
    pacer.begin(b"/", 0.0)
    assert pacer.download.grant(0.0, PLENTY) > 0
    for n in range(20):
        table.set(f"/{n}", down(1000 + n), 0.0)
        pacer.begin(b"/", 0.0)
        assert pacer.download.grant(0.0, PLENTY) == 0


def test_a_new_connection_of_an_address_gives_no_second_burst():
    table = table_with(("all", down(1_000_000)))
    total, now = 0, 0.0
    for n in range(100):
        now += 0.01
        pacer = Pacer(table, n, "a")
        pacer.begin(b"/", now)
        total += pacer.download.grant(now, PLENTY)
        pacer.close(now)
    assert total <= 1_000_000 * now + 30_000 + 1


def test_buckets_of_addresses_are_dropped_when_unused():
    table = table_with(("all", down(1000)))
    held = Pacer(table, 1, "held")
    held.begin(b"/", 0.0)
    for n in range(10_000):
        pacer = Pacer(table, n, n)
        pacer.begin(b"/", n * 0.01)
        pacer.close(n * 0.01)
        pacer.close(n * 0.01)
    assert table.clients < 1000
    table.sweep(200.0)
    assert table.clients == 1
    held.close(200.0)
    table.sweep(203.0)
    assert table.clients == 0


def test_removing_a_rule_lets_its_buckets_go():
    table = table_with(("all", down(1000)))
    pacer = Pacer(table, 1, "a")
    pacer.begin(b"/", 0.0)
    table.clear(1.0)
    pacer.refresh(1.0)
    table.sweep(4.0)
    assert table.clients == 0 and table.rules() == {}


def test_a_scope_that_cannot_be_understood_is_refused():
    with pytest.raises(InvalidScope, match="scope"):
        ThrottleTable(0.0).set("nowhere", OFF, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_random_changes_of_scopes_lose_no_byte_and_no_bound(seed):
    """Every byte that a flow was granted was charged to every gate in its way."""
    rng = random.Random(seed)
    table = ThrottleTable(0.0)
    pacers = [Pacer(table, n, n % 3) for n in range(6)]
    total = RateLimit(None, 0.0)
    now = allowed = passed = 0.0
    scopes = ["all", "/a/*", "/b", "#2", "#4"]
    values = [None, OFF, PRESETS["offline"], PRESETS["3g"], down(10**6),
              down(10**7, upload=10**5)]
    table.set("total", down(2_000_000, upload=2_000_000), 0.0)
    total.change(2_000_000, 0.0)
    for _ in range(1000):
        now += rng.random() * 0.05
        table.set(rng.choice(scopes), rng.choice(values), now)
        for pacer in pacers:
            if rng.random() < 0.3:
                pacer.begin(rng.choice([b"/", b"/a/x", b"/b"]), now)
            if rng.random() < 0.05:
                pacer.set_rate(rng.choice([0, 1000, 10**6]), now)
            if pacer.generation != table.generation:
                pacer.refresh(now)
            passed += pacer.download.grant(now, rng.choice([100, 65536, PLENTY]))
        allowed = total.served(now) + total.burst
        assert passed <= allowed + 1
    assert passed == table.total_download.total
    for pacer in pacers:
        pacer.close(now)
    assert table.total_download.members == 0
    table.sweep(now + 10)
    assert table.clients == 0


# Latency and faults


def pacer_under(throttle):
    pacer = Pacer(table_with(("all", throttle)), 1, "a")
    pacer.begin(b"/", 0.0)
    return pacer


def test_latency_varies_by_the_jitter_and_is_never_negative():
    rng = random.Random(1)
    pacer = pacer_under(Throttle(latency=0.1, jitter=0.02))
    drawn = [pacer.latency(rng) for _ in range(2000)]
    assert 0.08 <= min(drawn) < 0.082 and 0.118 < max(drawn) <= 0.12
    assert sum(drawn) / 2000 == pytest.approx(0.1, rel=0.01)
    pacer = pacer_under(Throttle(latency=0.01, jitter=0.5))
    assert min(pacer.latency(rng) for _ in range(100)) == 0.0
    assert pacer_under(PRESETS["3g"]).latency(rng) == 2.0


def test_faults_come_as_often_as_asked():
    rng = random.Random(1)
    pacer = pacer_under(Throttle(error_rate=0.2, error_status=502, reset_rate=0.1,
                                 stall_rate=0.05, cut_after=1000, slow_close=1.5))
    drawn = [pacer.faults(rng) for _ in range(10_000)]
    assert {fault.status for fault in drawn} == {None, 502}
    for name, rate in (("status", 0.2), ("reset", 0.1), ("stall", 0.05)):
        often = sum(getattr(fault, name) is not None for fault in drawn) / 10_000
        assert often == pytest.approx(rate, abs=0.015)
    assert all(fault.cut_after == 1000 and fault.slow_close == 1.5 for fault in drawn)
    assert all(0 <= fault.offset(fault.reset, 500) < 500 for fault in drawn
               if fault.reset is not None)


def test_without_faults_nothing_is_drawn():
    pacer = pacer_under(PRESETS["3g"])
    rng = random.Random(1)
    state = rng.getstate()
    assert pacer.faults(rng) == (None, None, None, None, 0.0)
    assert rng.getstate() == state
    assert pacer.rule.throttle.name == "3g"
