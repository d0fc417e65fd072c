"""Rules by scope: which holds for a connection, with its latency and its faults."""

import random

import pytest

from tests.net.grants import PLENTY, drain, ticks
from tremolo.net.throttling.bucket import RateLimit
from tremolo.net.throttling.flow import UNLIMITED
from tremolo.net.throttling.pacer import Pacer
from tremolo.net.throttling.table import ThrottleTable
from tremolo.scope import InvalidScope
from tremolo.throttle import OFF, PRESETS, Throttle

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
