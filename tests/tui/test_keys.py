"""Each key that the help names does what it says: a row of a table for each binding.

A binding without a row fails the test; so does a row without a binding.
"""

import asyncio

import pytest

pytest.importorskip("textual")

from textual.binding import Binding

from tests.support.dashboard_driver import LARGE, SMALL, dashboard, drive, rows
from tests.support.feed_player import message
from tremolo.scope import EVERYTHING
from tui import clipboard, outside
from tui.app import PANES, Dashboard
from tui.key_words import words_of
from tui.model.traffic import Row
from tui.panes.moving import Moving

OWNERS = {"app": Dashboard, "lines": Moving, **{pane.TITLE.lower(): pane for pane in PANES}}
BINDINGS = {(binding.id or binding.key): binding
            for owner in OWNERS.values() for binding in owner.__dict__.get("BINDINGS", ())
            if isinstance(binding, Binding)}

called = []


def commands(name):
    return lambda d: any(command["name"] == name for command in d.commands())


def words(*wanted):
    return lambda d: all(word in d.text() for word in wanted)


def noticed(text):
    return lambda d: any(text in notice.text for notice in d.app.session.notices.items)


def gone(*unwanted):
    return lambda d: not any(word in d.text() for word in unwanted)


def call(name):
    return lambda d: name in called


def selected(path):
    def check(d):
        row = d.app.traffic.selected_row()
        return row is not None and row.path == path
    return check


def throttled(**wanted):
    """The last wish for the throttle has these values."""
    def check(d):
        asked = [command["args"]["throttle"] for command in d.commands()]
        return bool(asked) and all((asked[-1] or {}).get(name) == value
                                   for name, value in wanted.items())
    return check


DETAIL = ["1", "up", "enter", "enter"]  # in the small layout the second one goes into it
LAST, FAILED = "/last?q=1", "/failed"

#: id of the binding: keys before it, and what is to be seen after it
KEYS = {
    "app.filter": (["1"], lambda d: d.app.asking.entry.display),
    "app.palette": ([], words("Search for commands")),
    "app.throttle": (["1"], words("preset")),
    "app.toggle": ([], words("nothing was throttled yet")),
    "app.reload": ([], commands("reload")),
    "app.pause": (["4"], lambda d: d.app.session.traffic.paused),
    "app.help": ([], words("Everywhere")),
    "app.quit": ([], commands("stop")),
    "app.interrupt": ([], commands("stop")),
    "app.suspend": ([], call("suspend")),
    "app.open": (["1", "escape", "escape"], call("open_url")),
    "app.edit": (["5"], call("edit")),
    "app.debug": ([], words("no breakpoint waits")),
    "app.notices": ([], words("Notices")),
    "app.pins": ([], words("nothing is pinned")),
    "app.plain": ([], call("plain_log")),
    "app.hold": (["4"], lambda d: d.app.asking.entry.display),
    "app.mail": ([], commands("mail")),
    "app.held": ([], words("no request is held")),
    "traffic.mock": (["1", "up"], lambda d: d.app.asking.entry.value == "GET /last 200"),
    "detail.send": (DETAIL, words("only over a WebSocket that is open")),
    "detail.hang_up": (DETAIL, words("only over a WebSocket that is open")),
    "detail.less": (DETAIL, words("no JSON here to fold")),
    "detail.more": (DETAIL, words("no JSON here to fold")),
    "app.write": (["4"], lambda d: d.app.asking.asks
                  and d.app.asking.entry.value.endswith(".jsonl")),
    "app.back": (["4"], words("all requests")),
    "1": (["4"], words("all requests")), "2": ([], words("ROUTE")), "3": ([], words("PEER")),
    "4": ([], words("all lines")), "5": ([], words("KeyError")), "6": ([], words("REQUESTS")),
    "7": ([], words("preset")),
    "move.down": (["1", "g"], selected("/second")),
    "move.up": (["1", "G"], selected(LAST)),
    "move.page_down": (["1", "g"], lambda d: not selected("/first")(d)),
    "move.page_up": (["1", "up"], lambda d: not selected(LAST)(d)),
    "move.first": (["1"], selected("/first")),
    "move.last": (["1", "g"], words("FOLLOW")),
    "traffic.open": (["1", "up"], words("Esc closes")),
    "traffic.pause": (["1"], words("PAUSED")),
    "traffic.cut": (["1", "up"], commands("cut")),
    "traffic.replay": (["1", "up"], noticed("is sent again")),
    "traffic.pin": (["1", "up"], lambda d: len(d.app.session.pins) == 1),
    "traffic.curl": (["1", "up"], words("curl command copied")),
    "traffic.change": (["1", "up"], call("edit_request")),
    "traffic.reveal": (["1", "up", "enter", "right"], words("sesame")),
    "traffic.body": (["1", "up"], words("copied")),
    "traffic.sort": (["1"], words("by ms")),
    "traffic.reverse": (["1"], words("newest first")),
    "traffic.next_tab": (["1", "up", "enter"], lambda d: d.app.detail.tab == "Headers"),
    "traffic.previous_tab": (["1", "up", "enter"], lambda d: d.app.detail.tab == "All"),
    "traffic.mark": (["1", "up"], words("◆")),
    "traffic.marked": (["1", "up", "m"], words("1 of 40")),
    "traffic.url": (["1", "up"], call("open_url")),
    "traffic.next_failed": (["1", "g"], selected(FAILED)),
    "traffic.previous_failed": (["1", "up"], selected(FAILED)),
    "traffic.next_gen": (["1", "g"], selected("/new-gen")),
    "traffic.previous_gen": (["1", "up"], selected("/new-gen")),
    "traffic.next_marked": (["1", "up", "m", "g"], selected(LAST)),
    "connections.cut": (["3", "G"], commands("cut")),
    "connections.sort": (["3"], lambda d: d.app.session.connections.sort == "rate"),
    "connections.reverse": (["3"], lambda d: d.app.session.connections.reverse),
    "connections.throttle": (["3", "G"], words("preset", "conn #88")),
    "errors.open": (["5", "g"], words("Esc closes")),
    "errors.edit": (["5", "g"], call("edit")),
    "errors.copy": (["5", "g"], words("traceback copied")),
    "errors.fold": (["5", "g"], words("starlette")),
    "detail.close": (DETAIL, gone("Esc closes")),
    "detail.edit": (DETAIL, call("edit")),
    "detail.replay": (DETAIL, noticed("is sent again")),
    "detail.pin": (DETAIL, lambda d: len(d.app.session.pins) == 1),
    "detail.curl": (DETAIL, words("curl command copied")),
    "detail.change": (DETAIL, call("edit_request")),
    "detail.reveal": ([*DETAIL, "right"], words("sesame")),
    "detail.body": (DETAIL, words("copied")),
    "detail.copy": (DETAIL, words("copied")),
    "detail.next": (DETAIL, lambda d: d.app.detail.tab == "Headers"),
    "detail.previous": (DETAIL, lambda d: d.app.detail.tab == "All"),
    "detail.find": (DETAIL, lambda d: d.app.asking.entry.display),
    "detail.again": ([*DETAIL, "slash", "l", "enter"], words("n next")),
    "detail.whole": (DETAIL, lambda d: d.app.detail.reading.whole),
    "detail.control": (DETAIL, lambda d: d.app.detail.reading.control),
    "detail.fold": (DETAIL, lambda d: d.app.detail.reading.unfold),
    "routes.only": (["2", "g"], lambda d: d.app.session.traffic.filter_text.startswith("route:")),
    "routes.sort": (["2"], lambda d: d.app.session.routes.sort == "p50"),
    "routes.reverse": (["2"], lambda d: d.app.session.routes.reverse),
    "log.search": (["4"], lambda d: d.app.asking.entry.display),
    "log.level": (["4"], lambda d: d.app.session.log.threshold > 0),
    "log.wrap": (["4"], words("wrapped")),
    "log.open": (["4", "up"], words("Esc closes")),
    "log.worker": (["4", "up"], lambda d: "pid:4711" in d.app.session.log.search_text),
    "log.clear": (["4"], words("nothing written yet")),
    "throttle.less": (["7", "right", "right"], throttled(name="offline")),
    "throttle.more": (["7"], throttled(name="offline")),
    "throttle.much_less": (["7", "down", "down"], throttled(upload=None)),
    "throttle.much_more": (["7", "down", "down", "down", "down"], throttled(download=None)),
    "throttle.up": (["7", "down"], lambda d: d.app.throttle_pane.row == 0),
    "throttle.down": (["7"], lambda d: d.app.throttle_pane.row == 1),
    "throttle.own": (["7"], lambda d: d.app.asking.entry.display),
    "throttle.scope": (["1", "up", "7"], lambda d: d.app.throttle_pane.scope == "/last"),
    "throttle.type_scope": (["7"], lambda d: d.app.asking.entry.display),
    "throttle.off": (["7", "right"], lambda d: d.commands()[-1]["args"]["throttle"] is None),
    "throttle.close": (["7"], words("all requests")),
    "workers.open": (["6", "g"], words("Esc closes")),
    "workers.reload": (["6"], words("slowest")),
    "workers.restart": (["6", "g"], commands("restart")),
    "workers.more": (["6"], commands("workers")),
    "workers.less": (["6"], commands("workers")),
}


def test_each_key_of_the_help_has_a_row_in_the_table():
    assert sorted(KEYS) == sorted(BINDINGS)


@pytest.fixture(scope="module", autouse=True)
def outer_world(tmp_path_factory):
    """What would leave the terminal is only noted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        for name in ("open_url", "edit", "plain_log", "edit_request"):
            patch.setattr(outside, name, lambda *given, name=name: called.append(name))
        patch.setattr(Dashboard, "action_suspend_process", lambda self: called.append("suspend"))
        patch.setattr(clipboard, "obeys", lambda environ: True)
        yield


async def filled(d):
    """Requests of two generations with one that failed, an exception, a connection."""
    player = d.player
    about = {"request": message([("Cookie", "id=sesame")]), "method": "GET", "status": 200,
             "error": None,
             "response": message([("Content-Type", "text/plain")], b"hello")}
    await d.say(rows(player, 1, path="/first", **about), rows(player, 1, path="/second", **about),
                rows(player, 17, path="/x", **about), player.error(),
                {"v": 1, "kind": "reload", "state": "ready", "gen": 15, "ms": 74.0, "t": 0.0,
                 "files": ["shop.py"], "parts": {"import": 48.0}, "modules": [["shop", 9.0]]})
    player.stream(4711, 88, "", 0.0, "idle")
    await d.say(rows(player, 1, path="/new-gen", **about), rows(player, 18, path="/y", **about),
                rows(player, 1, path=FAILED, status=500, method="GET"),
                rows(player, 1, path=LAST, route="/last", **about))


async def reset(d):
    """As if nothing had been pressed yet."""
    app, session = d.app, d.app.session
    while len(app.screen_stack) > 1:
        app.pop_screen()
    if app.asking.entry is not None and app.asking.entry.display:
        app.asking.entry.action_cancel()
    layout, traffic = app.arrangement, session.traffic
    layout.active, layout.detail, layout.strip, layout.alone = 1, False, False, False
    layout.apply()
    traffic.set_filter("")
    traffic.pause(False)
    traffic.sort, traffic.reverse, app.ending.asked = "time", False, 0
    for entry in traffic.entries:
        if isinstance(entry, Row):
            entry.marked = False
    traffic.revision += 1
    for table, sort in ((session.routes, "count"), (session.connections, "age")):
        table.sort, table.reverse = sort, False
        table.revision += 1
    for pin in session.pins:
        session.pins.unpin(pin.request.key)
    session.log.search("")
    session.log.threshold = 0
    session.commands.pending.clear()
    session.notices.items.clear()
    session.throttling.switched_off.clear()
    for pane in app.panes.values():
        pane.selected, pane.follow, pane.top = None, pane.FOLLOWS, 0
    app.detail.find("", again=False)
    detail, app.panes["log"].wrap = app.detail, False
    app.panes["errors"]._unfold = False
    how = detail.reading
    how.unfold = how.whole = how.control = how.reveal = False
    app.detail.subject, app.detail._wanted = None, ""
    control = app.throttle_pane
    control.row, control.scope = 0, EVERYTHING
    app.panes["traffic"].focus()
    called.clear()
    await d.say(d.player.log("a line"))
    await d.press()
    d.commands()


async def check(d, name):
    """Press the keys before and that of the binding; "" if what it says is seen then."""
    before, seen = KEYS[name]
    await reset(d)
    await d.press(*before)
    if not name.startswith("throttle"):
        d.commands()
    key = BINDINGS[name].key.split(",")[0].strip()
    await d.press(key)
    for _ in range(100):
        if seen(d):
            return ""
        await asyncio.sleep(0.01)
        await d.press()
    return f"{name} ({key}) did not do what it says:\n{d.text()}"


@pytest.fixture(scope="module")
def results(outer_world):
    """What each key did, in one dashboard."""
    found = {}

    async def main():
        async with dashboard(SMALL) as d:
            await filled(d)
            for name in KEYS:
                found[name] = await check(d, name)
    asyncio.run(main())
    return found


@pytest.mark.parametrize("name", KEYS)
def test_a_key_does_what_the_help_says(name, results):
    assert results[name] == ""


# -- the help and the palette themselves


@pytest.mark.parametrize("size", [(160, 48), (120, 36), (100, 30), (80, 24), (60, 16), (40, 10)],
                         ids=str)
def test_the_help_fits_and_every_key_can_be_scrolled_to(size):
    async def main():
        async with dashboard(size) as d:
            await d.press("question_mark")
            seen = d.text()
            box = d.app.screen.query_one("#help")
            assert box.region.right <= size[0] and box.region.bottom <= size[1]
            for _ in range(60):
                if "Esc closes" in seen:
                    break
                await d.press("space")
                seen += d.text()
            for title in ("Everywhere", "Lists", "Traffic", "Workers", "Filter",
                          "h:cookie"):
                assert title in seen
            assert size[0] < 60 or "edit and replay" in seen
    asyncio.run(main())


@drive(LARGE)
async def test_the_palette_has_actions_first_with_their_keys_at_the_right(d):
    await d.say(rows(d.player, 2))
    await d.press("up", "ctrl+p")
    await d.until(lambda: "Inspect" in d.text())
    line = next(line for line in d.screen() if "Inspect" in line)
    assert line.index("⏎") > line.index("Inspect") + 20
    await d.press(*"mark")
    await d.until(lambda: any("Mark, or no longer" in line and " m" in line
                              for line in d.screen()))


@pytest.mark.parametrize("owner", OWNERS)
def test_help_and_palette_say_more_than_a_word_and_the_palette_all_of_it(owner):
    for binding in BINDINGS.values():
        if binding in OWNERS[owner].__dict__.get("BINDINGS", ()):
            words = words_of(binding)
            assert " " in words or not binding.show or words in (
                "less", "more", "close", "quit", "search"), words
            assert len(words) <= 44, words  # more would be cut


@drive(SMALL)
async def test_every_column_of_routes_and_connections_is_sorted_by(d):
    await d.say(rows(d.player, 3, route="/b", ms=5.0), rows(d.player, 1, route="/a", ms=90.0))
    await d.press("2")
    first = [d.screen()[4].split()[0]]
    for column in ("P50", "P95", "P99", "ΔP95", "5XX", "ROUTE"):
        await d.pilot.click("#routes", offset=(d.screen()[3].index(column) + 2, 0))
        await d.pilot.pause()
        first.append(d.screen()[4].split()[0])
    assert first == ["/b", "/a", "/a", "/a", "/a", "/a", "/a"]
    await d.press("S")
    assert d.screen()[4].split()[0] == "/b"


def test_filter_order_and_theme_come_back(tmp_path):
    async def main():
        async with dashboard(SMALL, folder=str(tmp_path)) as d:
            d.app.session.traffic.set_filter("s:5xx")
            await d.press("s", "S")
            d.app.theme = "nord"
        async with dashboard(SMALL, folder=str(tmp_path)) as d:
            traffic = d.app.session.traffic
            assert (traffic.filter_text, traffic.sort, traffic.reverse) == ("s:5xx", "ms", True)
            assert d.app.theme == "nord"
    asyncio.run(main())
