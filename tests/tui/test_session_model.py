"""The model by itself: exact totals, rows with stable ids, reloads, throttle, errors."""

import json

import pytest

from tests.support.feed_player import FeedPlayer
from tremolo.throttle import OFF, PRESETS, Throttle
from tui.model import throttling
from tui.model.routes import Routes
from tui.model.session import Session
from tui.model.traffic import SORTS, Row, Rule, Traffic


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def player(clock):
    return FeedPlayer(clock=clock)


@pytest.fixture
def session(clock, player):
    session = Session(clock=clock)
    session.apply(player.hello())
    return session


@pytest.mark.parametrize("ms, first, throttled, phases", [
    (100, 90, 0, (90, 0, 10)),
    (100, 0, 0, (100, 0, 0)),  # no byte was sent
    (10_000, 5, 9900, (5, 9900, 95)),  # a download, held while it is sent
    (10_000, 9990, 9900, (100, 9900, 0)),  # an upload, held before the response
    (10, 8, 50, (0, 10, 0)),
])
def test_the_phases_of_a_request_are_all_of_its_time(ms, first, throttled, phases):
    row = Row(1, 1, 1, {"ms": ms, "ttfb_ms": first, "throttle_ms": throttled})
    assert row.phases == phases and sum(phases) == ms


def run(session, player, clock, ticks, lose=lambda tick: False):
    for tick in range(1, ticks + 1):
        clock.now += 0.1
        for message in player.step(tick):
            if not (message["kind"] in ("frame", "stats") and not message.get("final")
                    and lose(tick)):
                session.apply(message)
        session.tick()


def expected(player):
    return player.stats()["totals"]


# -- totals

@pytest.mark.parametrize("lose", [
    lambda tick: False,
    lambda tick: tick % 3 == 0 and tick < 60,
    lambda tick: 10 <= tick < 55,  # stopped, across a reload
    lambda tick: tick < 59,
], ids=["nothing", "every third frame", "a long stop", "all but the last"])
def test_totals_are_exact_whatever_frames_were_lost(session, player, clock, lose):
    run(session, player, clock, 60, lose)
    sums, truth = session.totals.sums(), expected(player)
    for name in ("requests", "bytes_in", "bytes_out", "errors"):
        assert sums.plain[name] == truth[name]
    assert sums.status == truth["status"]
    assert sum(sums.latency.values()) == truth["requests"]
    assert session.rejected == 0


def test_the_session_says_in_its_notices_what_became_of_a_route_since_the_save(session):
    for gen, queries in ((1, 3), (2, 41)):
        session.apply({"v": 1, "kind": "frame", "t": 100.0, "pid": gen, "gen": gen, "seq": 1,
                       "rows": [{"id": number, "method": "GET", "route": "/items",
                                 "path": "/items", "ms": 1.0, "status": 200, "queries": queries,
                                 "state": "done"} for number in range(3)]})
    assert session.notices.newest.text == (
        "since the save: GET /items 3 → 41 queries (2 requests, 3 before)")


def test_a_frame_older_than_the_newest_changes_nothing(session, player):
    old = player.frame(4711, [player.row(4711)])
    new = player.frame(4711, [player.row(4711)])
    session.apply(new)
    session.apply(old)
    assert session.totals.sums().plain["requests"] == 2
    assert session.traffic.seen == 1


def test_counters_of_an_ended_worker_stay_and_its_gauges_go(session, player):
    player.row(4711)
    session.apply(player.frame(4711))
    assert session.totals.sums().gauges["open"] == 6
    session.apply(player.worker(4711, "exited", cause="SIGKILL", expected=False, retry_in=0.5))
    assert session.totals.sums().plain["requests"] == 1
    assert session.totals.sums().gauges["open"] == 0
    assert "SIGKILL" in session.notices.newest.text and len(session.connections) == 0


def test_a_second_hello_after_lost_messages_counts_nothing_twice(session, player, clock):
    run(session, player, clock, 45)  # across a reload
    truth = expected(player)["requests"]
    past = player._zero()
    for totals in player.past:
        past["requests"] += totals["requests"]
    session.apply({**player.hello(), "past": past})
    session.totals._exact = None
    assert session.totals.sums().plain["requests"] == truth
    assert {worker.pid for worker in session.workers.list()} == set(player.pids)


def test_exact_stats_make_up_for_a_lost_last_frame(session, player):
    session.apply(player.frame(4711))
    for _ in range(5):
        player.row(4711)
    session.apply(player.stats())
    session.apply(player.worker(4711, "exited"))
    assert session.totals.sums().plain["requests"] == 5


def test_rates_are_of_the_last_second_and_a_gap_counts_as_its_mean(session, player, clock):
    session.tick()
    for _ in range(20):
        clock.now += 0.5
        for _ in range(50):
            player.row(4711)
        session.apply(player.frame(4711))
        session.tick()
    assert session.totals.requests_rate == pytest.approx(100)
    before = len(session.totals.history)
    clock.now += 10
    for _ in range(2000):
        player.row(4711)
    session.apply(player.frame(4711))
    session.tick()
    assert session.totals.requests_rate == pytest.approx(200)
    assert len(session.totals.history) == before + 10
    assert session.totals.history[-1] == pytest.approx(200)


def test_latencies_come_from_the_histogram_of_the_last_seconds(session, player, clock):
    session.tick()
    for ms in [5.0] * 90 + [200.0] * 10:
        player.row(4711, ms=ms)
    clock.now += 1
    session.apply(player.frame(4711))
    session.tick()
    assert session.totals.latency["p50"] == pytest.approx(5, rel=0.15)
    assert session.totals.latency["p99"] == pytest.approx(200, rel=0.15)
    for _ in range(30):
        clock.now += 1
        session.tick()
    assert session.totals.latency == {}


def test_share_of_server_errors_is_of_recent_responses(session, player, clock):
    session.tick()
    for status in (200, 200, 200, 500):
        player.row(4711, status=status)
    clock.now += 1
    session.apply(player.frame(4711))
    session.tick()
    assert session.totals.shares[5] == 0.25


# -- rows

def fill(traffic, count, **given):
    return [traffic.add(1, 1, {"id": n, "path": f"/p/{n}", "status": 200, "ms": n, **given})
            for n in range(count)]


def test_the_ring_is_bounded_and_ids_stay_stable():
    traffic = Traffic(capacity=100)
    rows = fill(traffic, 1000)
    assert len(traffic.entries) <= 125
    assert [row.uid for row in rows] == list(range(1, 1001))
    assert traffic.find(rows[-1].uid) is rows[-1]
    assert traffic.find(rows[0].uid) is None
    assert traffic.lines()[traffic.index_of(rows[950].uid)] is rows[950]


def test_a_filter_applies_to_rows_that_are_there_and_that_come():
    traffic = Traffic(capacity=100)
    fill(traffic, 20)
    traffic.add_rule(2, 0.0, "a.py", 30.0)
    assert traffic.set_filter("p/1")
    assert [entry.path for entry in traffic.lines() if isinstance(entry, Row)] == [
        "/p/1", *(f"/p/{n}" for n in range(10, 20))]
    assert isinstance(traffic.lines()[-1], Rule)
    traffic.add(1, 2, {"path": "/p/100"})
    traffic.add(1, 2, {"path": "/other"})
    assert traffic.lines()[-1].path == "/p/100"
    fill(traffic, 200)  # trimming reaches the filtered view too
    assert traffic.lines()[0].uid >= traffic.entries[0].uid


def test_an_invalid_filter_keeps_the_last_good_one():
    traffic = Traffic()
    fill(traffic, 3)
    assert traffic.set_filter("p/1")
    assert not traffic.set_filter("p/1 ms>")
    assert traffic.filter_text == "p/1" and traffic.filter_error.place == 7
    assert len(traffic.lines()) == 1


def test_a_paused_view_stands_still_while_rows_come():
    traffic = Traffic(capacity=50)
    fill(traffic, 10)
    traffic.pause(True)
    fill(traffic, 500)
    assert len(traffic.lines()) == 10 and traffic.seen == 510
    assert traffic.find(3) is traffic.lines()[2]
    traffic.pause(False)
    assert traffic.lines() is traffic.entries


def test_sorting_puts_the_slowest_first_and_reverses():
    traffic = Traffic()
    fill(traffic, 10)
    assert traffic.cycle_sort() == "ms"
    assert [row.ms for row in traffic.lines()][:3] == [9, 8, 7]
    traffic.reverse_sort()
    assert traffic.lines()[0].ms == 0
    assert traffic.index_of(traffic.lines()[4].uid) == 4


@pytest.mark.parametrize("column", SORTS)
@pytest.mark.parametrize("turned", [False, True], ids=["usual", "reversed"])
def test_equal_rows_are_in_the_order_of_the_whole(column, turned):
    traffic = Traffic()
    for number in range(12):
        traffic.add(1, 1, {"id": number, "ms": number % 3, "status": 200 + number % 2,
                           "bytes_out": number % 4, "path": f"/{number % 2}", "method": "GET"})
    traffic.sort_by(column)
    if (column == "time") == turned:  # the usual order once more is the other one
        traffic.reverse_sort()
    attribute = {"size": "bytes_out", "time": "uid"}.get(column, column)
    keys = [(getattr(row, attribute), row.uid) for row in traffic.lines()]
    assert keys in (sorted(keys), sorted(keys, reverse=True))


def test_requests_are_counted_without_the_rules_between_them():
    traffic = Traffic(capacity=40)
    for generation in range(6):
        traffic.add_rule(generation, 0.0, "shop.py", 1.0)
        fill(traffic, 9)

    def counted(entries):
        return sum(not hasattr(entry, "failed") for entry in entries)

    def check():
        assert traffic.counts() == (counted(traffic.lines()), counted(traffic.entries))

    check()
    traffic.set_filter("ms>3")
    check()
    traffic.sort_by("ms")
    check()
    traffic.pause(True)
    traffic.add_rule(7, 0.0, "shop.py", 1.0)
    fill(traffic, 3)
    check()


def test_rows_of_a_frame_come_in_their_order_even_if_newest_first(session, player):
    rows = [player.row(4711) for _ in range(5)]
    session.apply(player.frame(4711, rows[::-1]))
    assert [row.id for row in session.traffic.entries] == [1, 2, 3, 4, 5]


def test_an_exchange_in_progress_is_a_row_until_it_ends(session, player, clock):
    player.stream(4711, 88, "GET /big.iso", 1e6, "sending")
    session.apply(player.frame(4711))
    assert session.live.rows(clock.now, 8) == []
    clock.now += 1
    player.streams[0]["bytes_out"] = 5000
    session.apply(player.frame(4711))
    (row,) = session.live.rows(clock.now, 8)
    assert (row.method, row.path, row.state) == ("GET", "/big.iso", "live")
    assert row.bytes_out == 5000
    assert row.ms == pytest.approx(1000) and row.uid < 0
    player.streams.clear()
    session.apply(player.frame(4711))
    assert session.live.rows(clock.now, 8) == []


def test_a_running_row_stays_one_row_and_becomes_its_finished_one(session, player, clock):
    running = dict(player.row(4711), id=77, state="live", status=0, ms=900.0)
    for bytes_out in (10, 20, 30):
        session.apply(player.frame(4711, [dict(running, bytes_out=bytes_out)]))
    (row,) = session.live.rows(clock.now, 8)
    assert row.bytes_out == 30 and session.traffic.seen == 0
    session.apply(player.frame(4711, [dict(running, state="done", status=200)]))
    assert session.live.rows(clock.now, 8) == []
    assert session.live.became(row.uid) == session.traffic.entries[-1].uid


def test_a_websocket_is_live_under_the_path_of_its_handshake(session, player, clock):
    session.apply(player.frame(4711, [player.row(4711, status=101, path="/ws", conn=91)]))
    player.stream(4711, 91, "", 3400.0, "websocket")
    session.apply(player.frame(4711))
    clock.now += 1
    (row,) = session.live.rows(clock.now, 8)
    assert (row.method, row.path, row.status) == ("WS", "/ws", 101)
    session.apply(player.worker(4711, "exited"))
    assert session.live.rows(clock.now, 8) == []


def test_text_of_rows_is_clean(session, player):
    hostile = player.row(4711, path="/\x1b[2J\u202e[b]x[/]", error="\x07")
    session.apply(player.frame(4711, [hostile]))
    row = session.traffic.entries[0]
    assert row.path == "/\u241b[2J\\u202e[b]x[/]" and row.error == "\u2407"


@pytest.mark.parametrize("message", [
    {"kind": "frame"}, {"kind": "frame", "pid": "x"}, {"kind": "worker"},
    {"kind": "hello", "workers": [3]}, {"kind": "frame", "pid": 1, "rows": [7]},
    {"kind": "stats", "totals": 3}, {"kind": "throttle", "throttle": {"*": {"download": -1}}},
    {"kind": "reload", "ms": "soon"}, {"kind": "error", "line": "x"},
    {"kind": "frame", "pid": 1, "totals": {"requests": "many"}},
    {"kind": "reload", "modules": 5}, {"kind": "log", "t": "now"},
], ids=str)
def test_a_message_of_the_wrong_form_is_counted_and_left_out(session, message):
    session.apply(message)
    assert session.rejected == 1
    session.tick()


def test_unknown_kinds_and_keys_are_for_newer_viewers(session, player):
    session.apply({"kind": "weather", "v": 1})
    session.apply({**player.frame(4711), "tomorrow": {}})
    assert session.rejected == 0


# -- workers, reloads, errors, log

def test_a_reload_puts_a_rule_between_generations(session, player, clock):
    session.apply(player.frame(4711, [player.row(4711)]))
    run(session, player, clock, 42)
    rules = [entry for entry in session.traffic.entries if isinstance(entry, Rule)]
    assert [(rule.gen, rule.failed, rule.ms) for rule in rules] == [(15, False, 74.0)]
    assert session.reload.gen == 15 and "74 ms" in session.notices.newest.text


@pytest.mark.parametrize(("name", "text"), [
    pytest.param("tremolo.ending", 'waiting for thread "poller"', id="what the end waits for"),
    pytest.param("tremolo.starting", "gen 3 has not started after 5 s: shop.py:1 in <module>",
                 id="where a slow start is"),
    pytest.param("tremolo.advice", "18 migrations not applied", id="what the framework advises"),
])
def test_a_line_of_ours_that_asks_for_something_is_news(session, name, text):
    session.apply({"v": 1, "kind": "log", "t": 1.0, "pid": 0, "gen": 0, "stream": "tremolo",
                   "level": "warning", "name": name, "text": text})
    assert session.notices.newest.text == text


@pytest.mark.parametrize(("then", "serving", "words"), [
    ("serves", 14, "gen 14 serves"), ("waits", 0, "waiting for a change"),
    ("asked", 0, "waiting for a reload"), ("ends", 0, "the server ends")])
def test_a_failed_generation_tells_what_happens_next(session, player, then, serving, words):
    failed = {**player.reload("failed"), "then": then, "serving": serving}
    session.apply(failed)
    assert session.reload.outlook() == words
    assert [rule.text.endswith(f"· {words}") for rule in session.traffic.entries
            if isinstance(rule, Rule)] == [True]


def test_a_failed_reload_keeps_the_old_generation_and_tells_the_error_once(session, player):
    session.apply(player.reload("started"))
    failed = player.reload("failed")
    session.apply(failed["error"])
    session.apply(failed)
    reload = session.reload
    assert (reload.state, reload.gen, reload.trying) == ("failed", 14, 15)
    assert len(session.errors.items) == 1
    assert session.errors.items[0].type == "SyntaxError"
    session.apply(player.reload("started"))
    session.apply(player.reload("ready"))
    assert session.reload.state == "ready" and session.reload.error == ""


def test_equal_errors_in_a_row_are_one_line_with_a_count(session, player):
    for number in range(500):
        session.apply(player.error(request=number))
    (error,) = session.errors.items
    assert (error.count, session.errors.total, session.errors.unseen) == (500, 500, 500)


def test_one_of_too_many_takes_nothing_from_what_is_known_of_its_place(session, player):
    session.apply(player.error(request=1, traceback="all of it"))
    session.apply(player.error(request=2, traceback="its place", brief=True))
    session.apply(player.error(request=None, traceback="its place", brief=True, count=7))
    (error,) = session.errors.items
    assert (error.count, session.errors.total, session.errors.unseen) == (9, 9, 9)
    assert (error.traceback, error.request) == (["all of it"], 1)
    assert session.errors.of_request(4711, 2).traceback == ["its place"]
    session.apply(player.error(request=3, traceback="of another"))
    assert error.traceback == ["of another"]


def test_each_request_keeps_its_own_exception(session, player):
    for number in range(3):
        session.apply({**player.error(request=number), "chain": [
            {"type": "KeyError", "text": "'total'", "relation": "", "frames": [
                {"file": "shop.py", "line": 3, "name": "total", "project": True,
                 "variables": {"n": str(number)}}]}]})
    assert [session.errors.of_request(4711, number).chain[0].frames[0].variables["n"]
            for number in range(3)] == ["0", "1", "2"]


def test_lines_of_the_log_belong_to_the_request_that_wrote_them(session):
    for number in (1, 2, 1):
        session.apply({"v": 1, "kind": "log", "t": 1.0, "pid": 5, "gen": 1, "stream": "log",
                       "level": "info", "name": "shop", "text": f"of {number}",
                       "request": number})
    assert [line.raw for line in session.log.of_request(5, 1)] == ["of 1", "of 1"]
    assert session.log.of_request(6, 1) == []


def test_workers_are_forgotten_some_time_after_their_end(session, player, clock):
    session.apply(player.worker(4711, "exited", cause="drained"))
    session.apply(player.worker(4712, "exited", cause="SIGSEGV", expected=False, retry_in=1.0))
    clock.now += 6
    session.tick()
    assert [worker.pid for worker in session.workers.list()] == [4712]


def test_log_lines_are_split_and_bounded(session, player):
    session.apply(player.log("one\ntwo\nthree", "warning"))
    assert [line.raw for line in session.log.lines] == ["one", "two", "three"]
    session.apply(player.log("fine", "debug"))
    session.log.cycle_threshold()
    assert [line.raw for line in session.log.view()] == ["one", "two", "three"]


def test_routes_compare_with_the_generation_before(session):
    for gen, ms in ((1, 10.0), (2, 30.0)):
        for number in range(20):
            row = session.traffic.add(1, gen, {"id": number, "path": "/a?x=1", "ms": ms})
            session.routes.add(row)
    (route,) = session.routes.list()
    assert (route.name, route.now.count, route.before.count) == ("/a", 20, 20)
    assert route.now.quantiles()[1] > 2 * route.before.quantiles()[1]


# -- throttle and commands

def test_what_is_shown_is_what_the_server_confirmed(session, player):
    command = session.wish_throttle("*", PRESETS["slow-4g"])
    assert session.throttling.headline() == ""
    assert session.wanted_throttle("*") == PRESETS["slow-4g"]
    sent = {"seq": command.seq, "name": command.name, "args": command.args}
    for reply in player.answer(sent):
        session.apply(reply)
    assert session.throttling.headline() == "Slow 4G"
    assert session.commands.pending == {} and "applied in" in session.notices.newest.text


def test_steps_go_on_from_a_wish_that_has_no_answer_yet(session):
    first = throttling.stepped(session.wanted_throttle("*"), 1)
    session.wish_throttle("*", first)
    second = throttling.stepped(session.wanted_throttle("*"), 1)
    names = throttling.preset_names()
    assert [first.name, second.name] == names[1:3]
    assert throttling.stepped(PRESETS[names[-1]], 1).name == names[-1]
    assert throttling.stepped(OFF, -1) == OFF


def test_a_refused_command_says_why(session):
    command = session.commands.give("reload", {}, "reload")
    session.apply({"kind": "ack", "seq": command.seq, "ok": False, "error": "no \x1b app"})
    newest = session.notices.newest
    assert (newest.text, newest.kind) == ("reload: no \u241b app", "error")


def test_the_switch_takes_all_off_and_brings_exactly_that_back(session, player):
    table = {"*": Throttle.parse("down=1Mbit latency=20ms"), "total": Throttle(download=9e6),
             "/api/*": OFF, "client:10.0.0.7": PRESETS["3g"]}
    session.apply({"kind": "throttle", "throttle": {
        scope: throttle.as_dict() for scope, throttle in table.items()}})

    def switched():
        session.switch_throttle()
        for message in player.answer({**json.loads(session.commands.outbox.pop().line())}):
            session.apply(message)
        return session.throttling.table

    assert switched() == {}
    assert not session.throttling.active and session.throttling.headline() == ""
    assert switched() == table
    assert session.throttling.headline() == (
        "down=1Mbit latency=20ms, off on /api/*, 3G on client 10.0.0.7, total down=72Mbit")


def test_the_switch_invents_no_throttle(session):
    session.switch_throttle()
    assert session.commands.outbox == []
    assert "nothing was throttled yet" in session.notices.newest.text


@pytest.mark.parametrize("slider", throttling.SLIDERS, ids=lambda slider: slider.field)
def test_a_slider_reaches_both_ends_and_each_step_moves_it(slider):
    throttle, places = OFF, []
    step = -1 if slider.unlimited else 1
    for _ in range(slider.steps + 5):
        throttle = throttling.moved(throttle, slider, step)
        places.append(throttling.position(slider, throttle))
    distinct = list(dict.fromkeys(places))
    assert len(distinct) >= slider.steps - 1
    assert distinct == sorted(distinct, reverse=slider.unlimited)
    for _ in range(slider.steps + 5):
        throttle = throttling.moved(throttle, slider, -step)
    assert throttle == OFF


def test_exceptions_from_one_place_are_one_group_with_its_newest_in_full(session, player):
    session.apply(player.error(text="'total'", gen=14))
    session.apply(player.error(type="ValueError", line=9, gen=14))
    session.apply(player.error(text="'price'", gen=15, path="/other"))
    assert [error.type for error in session.errors.items] == ["ValueError", "KeyError"]
    group = session.errors.items[-1]
    assert (group.count, group.text, group.path) == (2, "'price'", "/other")
    assert (group.first_gen, group.gen, session.errors.total) == (14, 15, 3)


def test_the_trend_of_a_group_counts_its_times_by_equal_parts(session, player):
    for t in (1.0, 55.0, 58.0, 59.0):
        session.apply(player.error(t=t))
    assert session.errors.items[-1].trend(60.0, 6, 60.0) == [1, 0, 0, 0, 0, 3]


def test_what_a_request_did_is_kept_for_it(session):
    told = {"v": 1, "kind": "insight", "t": 1.0, "pid": 5, "gen": 1, "request": 7,
            "statements": ["select ?"], "places": ["/shop/views.py:31"],
            "queries": [[0, 0, 1000, 2000, 3]] * 6,
            "query_count": 6, "sql_ms": 12.0,
            "repeated": [{"count": 6, "sql": 0, "place": 0, "ms": 12.0}]}
    session.apply(told)
    facts = session.insight.of(5, 7)
    assert (facts.query_count, facts.queries[0].sql, facts.queries[0].rows) == (6, "select ?", 3)
    assert facts.repeated[0].place == "/shop/views.py:31"
    session.apply({**told, "query_count": 8})
    assert session.insight.of(5, 7).query_count == 8
    session.apply({**told, "queries": [[99, -1]], "request": 8})
    assert session.insight.of(5, 8).queries[0].sql == ""
    session.apply({**told, "request": "no number"})
    assert session.rejected == 1


def test_a_line_of_a_browsers_console_is_its_requests_and_names_its_page(session):
    session.apply({"v": 1, "kind": "log", "t": 1.0, "pid": 5, "gen": 2, "stream": "browser",
                   "level": "error", "name": "browser", "text": "broken", "request": 7,
                   "page": "/shop", "client": "127.0.0.1:5"})
    [line] = session.log.of_request(5, 7)
    assert (line.text, line.page, line.client) == ("broken", "/shop", "127.0.0.1:5")


def test_the_mean_of_reloads_leaves_the_start_out(session, player):
    session.apply(player.reload("started", cause="start"))
    session.apply(player.reload("ready", cause="start", ms=1500.0))
    assert session.reload.mean_ms is None
    for ms in (50.0, 70.0):
        session.apply(player.reload("started", cause="change"))
        session.apply(player.reload("ready", cause="change", ms=ms))
    assert session.reload.mean_ms == 60.0


def test_the_parts_of_a_requests_time_are_together_all_of_it(session, player):
    row = Row(1, 5, 1, {"ms": 100.0, "ttfb_ms": 80.0, "queue_ms": 5.0, "sql_ms": 30.0,
                        "calls_ms": 20.0, "queries": 3})
    assert dict(row.parts) == {"queue": 5.0, "app": 25.0, "SQL": 30.0, "outgoing": 20.0,
                               "send": 20.0, "throttle": 0.0}
    crowded = Row(1, 5, 1, {"ms": 100.0, "ttfb_ms": 80.0, "sql_ms": 300.0, "calls_ms": 20.0})
    assert sum(ms for _, ms in crowded.parts) == 100.0


def test_a_profile_is_kept_for_its_request(session):
    session.apply({"v": 1, "kind": "insight", "t": 1.0, "pid": 5, "gen": 1, "request": 7,
                   "profile": {"every_ms": 10.0, "samples": 4,
                               "tree": [[0, "view views.py:3", 4], [1, "slow db.py:9", 3]]}})
    facts = session.insight.of(5, 7)
    assert [(node.depth, node.label) for node in facts.flame] == [
        (0, "view views.py:3"), (1, "slow db.py:9")]


def test_routes_count_what_rows_stand_for():
    routes = Routes()

    def add(times, **more):
        for _ in range(times):
            routes.add(Row(1, 5, 1, {"route": "/items", "path": "/items", "status": 200, **more}))

    add(5, ms=10.0)
    [route] = routes.list()
    assert route.amount("count") == route.now.count == 5
    add(10, ms=10.0, weight=30.0)
    add(10, ms=400.0, status=500)
    assert route.amount("count") == 315 and route.now.count == 25
    assert route.amount("5xx") == route.now.failed_rows == 10
    assert route.now.quantiles()[0] < 20  # most took 10 ms, though as many rows took 400
    assert sum(route.bins()) == 315
