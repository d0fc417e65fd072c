"""The throttle control: measured beside wanted, mouse, faults, and what a selection means."""

import asyncio

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, SMALL, dashboard, drive, rows
from tests.support.feed_player import FeedPlayer
from tremolo.scope import InvalidScope, Scope
from tremolo.throttle import Throttle
from tui import plot
from tui.model import scopes, throttling
from tui.model.meters import SECONDS, Meter
from tui.model.session import Session

# -- measuring


def test_a_lump_of_bytes_is_spread_over_the_time_it_took():
    meter = Meter()
    meter.add(1000, 100.0, 110.0)
    assert meter.rate(110.3) == pytest.approx(100)
    assert sum(meter.buckets(111.0)) * 0.5 == pytest.approx(1000)
    meter.add(300, 111.0, 111.0)
    assert sum(meter.buckets(112.0)) * 0.5 == pytest.approx(1300)


@pytest.mark.parametrize("count", [120, 100, 64, 48, 20])
def test_columns_hold_what_the_buckets_hold(count):
    meter = Meter()
    for second in range(200):
        meter.add(1000 + second, 1000.0 + second, 1001.0 + second)
    columns = meter.columns(1200.3, count)
    assert len(columns) == count
    assert sum(columns) / count == pytest.approx(sum(meter.buckets(1200.3)) / 120)


def test_what_is_older_than_a_minute_is_forgotten_also_after_a_long_silence():
    meter = Meter()
    meter.add(1000, 100.0, 101.0)
    meter.add(1, 5000.0, 5000.1)
    assert sum(meter.buckets(5001.0)) * 0.5 == pytest.approx(1)
    meter.add(6000, 5000.0 - 10 * SECONDS, 5002.0)
    assert max(meter.buckets(5002.5)) < 50


@pytest.fixture
def session():
    session = Session(clock=lambda: session.now)
    session.now = 1000.0
    player = FeedPlayer(clock=lambda: session.now)
    session.player = player
    session.apply(player.hello())
    return session


def play(session, seconds, path="/big", rate=50_000, route=None):
    player = session.player
    for _ in range(int(seconds * 10)):
        session.now += 0.1
        sent = round((session.now - 1000.0) * rate)
        player.totals[4711]["bytes_out"] += rate // 10
        row = {"id": 1, "conn": 7, "t": 1000.0, "method": "GET", "path": path, "route": route,
               "status": 200, "bytes_in": 0, "bytes_out": sent, "state": "live",
               "ms": (session.now - 1000.0) * 1000}
        session.apply(player.frame(4711, [row], connections=[
            {"id": 7, "peer": "127.0.0.1:5", "state": "sending", "bytes_out": sent,
             "rate_out": rate, "current": f"GET {path}"}]))


@pytest.mark.parametrize("scope", ["*", "/big", "/b*", "#4711.7"])
def test_each_scope_is_measured_from_when_it_is_asked_for(session, scope):
    play(session, 2)
    session.measured(scope)
    play(session, 5)
    down, up = session.measured(scope)
    assert down.rate(session.now) == pytest.approx(50_000, rel=0.01)
    assert max(down.buckets(session.now)) < 51_000
    assert up.rate(session.now) == 0


def test_a_path_is_measured_without_what_goes_elsewhere(session):
    session.measured("/other/*")
    play(session, 3)
    assert not any(session.measured("/other/*").down.buckets(session.now))


# -- what is wanted


def test_limits_are_known_as_they_were_at_each_instant():
    state = throttling.Throttling()
    slow = Throttle(download=1000.0)
    state.update({"*": slow.as_dict()}, 10.0)
    state.update({"*": slow.as_dict(), "/api/*": Throttle(upload=5.0).as_dict(),
                  "total": Throttle(download=700.0).as_dict()}, 40.0)
    downs = [down for down, _ in state.limits(Scope("*"), "", 60.0, 60.0, 6)]
    assert downs == [None, 1000, 1000, 1000, 700, 700]
    assert state.limits(Scope("/api/items"), "/api/items", 60.0, 60.0, 1) == [(700.0, 5.0)]
    assert state.limits(Scope("#1.2"), "/api/x?y=z", 60.0, 60.0, 1) == [(700.0, 5.0)]
    assert state.limits(Scope("#1.2"), "/else", 60.0, 60.0, 1) == [(700.0, None)]


# -- the plot


def test_the_rule_lies_where_the_limit_is_and_the_area_reaches_it():
    values, limits = [100.0] * 20, [100.0] * 20
    top = plot.scale(values, limits)
    lines = plot.area(values, limits, 4, top)
    row = plot.rule_row(100.0, 4, top)
    assert row == 1 and lines[row] == [("⣿" * 10, "warning")]
    assert lines[0] == [(" " * 10, "")] and lines[3] == [("⣿" * 10, "second")]


def test_what_passed_before_a_limit_does_not_flatten_what_passes_now():
    values, limits = [1e9] * 10 + [100.0] * 10, [None] * 10 + [100.0] * 10
    top = plot.scale(values, limits)
    assert top == pytest.approx(133.3, abs=0.1)
    assert plot.area(values, limits, 4, top)[3] == [("⣿" * 5, "faint"), ("⣿" * 5, "second")]


def test_more_than_the_limit_is_marked():
    lines = plot.area([130.0] * 4, [100.0] * 4, 8, 133.0)
    assert [runs[0][1] for runs in lines][:3] == ["error", "error", "warning"]


# -- on the screen


@drive(SMALL)
async def test_the_measured_rate_stands_beside_the_wanted_one(d):
    await d.press("7", *["right"] * 7)
    await d.obey()
    text = d.text()
    assert "of 1.44 Mbit/s" in text and "of 675 kbit/s" in text
    assert "60 s ago" in text and "now" in text and "1.44M┤" in text


@drive(LARGE)
async def test_the_overview_has_both_plots_beside_the_sliders(d):
    await d.press("t", *["right"] * 7)
    await d.obey()
    line = next(line for line in d.screen() if "↓ down" in line)
    assert "preset" in line and "↑ up" in line and "of 1.44 Mbit/s" in line
    assert "applied in" in d.text() and "▼ Slow 4G" in d.screen()[0]


@drive(SMALL)
async def test_faults_have_sliders_too(d):
    await d.press("7", *["down"] * 8, "right", "down", "left", "down", "right")
    stall, cut, close = [c["args"]["throttle"] for c in await d.obey()]
    assert stall["stall_rate"] == 0.001
    assert cut["cut_after"] == 1_000_000_000
    assert close["slow_close"] == 0.01
    text = d.text()
    assert "stalls" in text and "close" in text and "10 ms" in text


@pytest.mark.parametrize("slider", throttling.SLIDERS, ids=lambda slider: slider.field)
def test_every_place_of_a_slider_is_a_throttle_at_that_place(slider):
    for place in range(slider.steps + 1):
        if slider.unlimited and place == 0:
            continue  # the same as the first place
        value = throttling.value_at(slider, place)
        if slider.field == "cut_after" and value is not None:
            value = int(value)
        throttle = throttling.with_value(throttling.OFF, slider, value)
        assert throttling.position(slider, throttle) == place


def where(d, words):
    for y, line in enumerate(d.screen()):
        if words in line:
            return line.index(words), y
    raise AssertionError(words)


@drive(SMALL)
async def test_a_slider_is_dragged_with_the_mouse_and_turned_with_the_wheel(d):
    await d.press("7")
    x, y = where(d, "latency")
    await d.pilot.mouse_down(offset=(x + 10, y))
    await d.pilot.hover(offset=(x + 14, y))
    await d.pilot.mouse_up(offset=(x + 14, y))
    first, *_, last = [c["args"]["throttle"]["latency"] for c in await d.obey()]
    assert 0 < first < last
    d.app.throttle_pane._wheel(_At(x + 14, y - d.app.throttle_pane.region.y), 1)
    (command,) = await d.obey()
    assert command["args"]["throttle"]["latency"] > last


class _At:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def stop(self):
        pass


@drive(SMALL)
async def test_a_preset_and_a_scope_are_clicked(d):
    await d.say(rows(d.player, 1, route="/api/items/{id}", conn=9))
    await d.press("up", "7")
    await d.pilot.click(offset=where(d, "/api/items"))
    await d.pilot.click(offset=where(d, "GPRS"))
    (command,) = await d.obey()
    assert command["args"]["scope"] == "/api/items/{id}"
    assert command["args"]["throttle"]["name"] == "gprs"


@drive(SMALL)
async def test_the_throttle_of_a_selected_connection_is_one_key_away(d):
    d.player.stream(4711, 88, "GET /big.iso", 1.1e6, "sending")
    await d.say(rows(d.player, 1))
    await d.press("3", "G", "t", "right")
    (command,) = await d.obey()
    assert command["args"]["scope"] == "#4711.88"


# -- scopes


@pytest.mark.parametrize("text, scope", [
    ("/api/*: latency=300ms", "/api/*"), ("latency=300ms", "/old"), ("#7: latency=300ms",
                                                                     "#4711.7"),
    ("client 10.0.0.7: latency=300ms", "client:10.0.0.7"), ("*: latency=300ms", "*"),
    ("#4711.7: latency=300ms", "#4711.7")])
def test_a_typed_throttle_has_the_syntax_of_the_option(text, scope):
    found = scopes.typed(text, Scope("/old"), [(4711, 7), (4711, 8)])
    assert found == (scope, Throttle.parse("latency=300ms"))


@pytest.mark.parametrize("text, words", [
    ("#9", "no connection #9"), ("#7", "#7 is of which worker: #1.7 or #2.7"),
    ("api", "no scope"), ("client:here", "no IP address")])
def test_a_scope_that_is_none_is_explained(text, words):
    with pytest.raises(InvalidScope, match=words):
        scopes.named(text, [(1, 7), (2, 7)])


def test_what_is_selected_can_be_chosen_from_wide_to_narrow():
    assert scopes.choices("/api/items/{id}", (4711, 9), Scope("client:10.0.0.7"), {
        Scope("/b"): throttling.OFF}) == [
        "*", "/api/items/{id}", "/api/*", "client:10.0.0.7", "#4711.9", "/b"]
    assert scopes.choices("/", None, None, {}) == ["*", "/"]


@drive(SMALL)
async def test_a_path_is_typed_as_scope_and_sliders_act_on_it(d):
    await d.press("7", "S", *"/api/*", "enter", "right")
    (command,) = await d.obey()
    assert command["args"]["scope"] == "/api/*"
    await d.press("up", "S", *"nonsense", "enter")
    assert d.app.asking.entry.display and "is no scope" in d.screen()[-2]
    await d.press("escape")
    assert d.app.throttle_pane.scope == "/api/*"


@drive(SMALL)
async def test_a_whole_rule_is_typed_and_off_in_one_exempts(d):
    await d.press("7", "enter")
    d.app.asking.entry.value = "/api/*: latency=300ms"
    await d.press("enter")
    (command,) = await d.obey()
    assert (command["args"]["scope"], command["args"]["throttle"]["latency"]) == ("/api/*", 0.3)
    assert d.app.throttle_pane.scope == "/api/*" and "on /api/*" in d.screen()[0]
    await d.press("enter")
    d.app.asking.entry.value = "/api/*: off"
    await d.press("enter")
    (command,) = await d.obey()
    assert command["args"]["throttle"]["latency"] == 0
    assert "off, whatever all has" in d.text() and "▼" not in d.screen()[0]
    await d.press("0")
    (command,) = await d.obey()
    assert command["args"]["throttle"] is None


@drive(SMALL)
async def test_the_client_of_the_selected_request_is_a_scope(d):
    await d.say(rows(d.player, 1, route="/api/items/{id}", conn=9, peer="10.0.0.7:5000"))
    await d.press("up", "t", "s", "s", "up", "right")
    (command,) = await d.obey()
    assert command["args"]["scope"] == "client:10.0.0.7"


def test_a_client_is_measured_without_the_others(session):
    session.measured("client:10.0.0.7")
    for peer, count in (("10.0.0.7:1", 1000), ("10.0.0.8:1", 5000)):
        session.apply(session.player.frame(4711, [
            session.player.row(4711, peer=peer, bytes_out=count, ms=1000.0)]))
    session.now += 1.0
    assert sum(session.measured("client:10.0.0.7").down.buckets(session.now)) * 0.5 \
        == pytest.approx(1000)


@drive(LARGE)
async def test_t_closes_the_throttle_also_where_its_number_opened_it(d):
    await d.press("7")
    assert d.app.throttle_pane.has_focus
    await d.press("t")
    assert d.app.traffic.has_focus and "slows the network" in d.text()


@drive(LARGE)
async def test_own_numbers_are_typed_in_the_control_which_stays_open_meanwhile(driver):
    await driver.press("t", "down", "down", "enter")
    screen = driver.screen()
    [typed] = [y for y, text in enumerate(screen) if text.startswith("─slow-4g")]
    assert "preset" in screen[typed + 1]
    await driver.press("escape")
    assert "─ 7 Throttle ─" in driver.screen()[typed]


@pytest.mark.parametrize("size", [(160, 48), (120, 36), (80, 24)], ids=str)
def test_what_the_chosen_number_means_is_said(size):
    async def main():
        async with dashboard(size) as d:
            await d.press("7", "down")
            assert "in force: " in d.text()
            for slider in throttling.SLIDERS:
                await d.press("down")
                assert f"{slider.label}: {slider.meaning}" in d.text()
            await d.press("down")
            assert "in force: " in d.text()
    asyncio.run(main())
