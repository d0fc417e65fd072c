"""How the dashboard ends, and what it may cost while it runs."""

import asyncio

import pytest

pytest.importorskip("textual")

from textual.message_pump import MessagePump

from tests.support.dashboard_driver import LARGE, SMALL, drive, rows
from tests.support.feed_player import line

# -- leaving

@drive(SMALL)
async def test_quit_drains_and_a_second_time_ends_at_once(d):
    await d.press("q")
    (command,) = d.commands()
    assert command["name"] == "stop" and command["args"] == {"now": False}
    assert d.app.is_running
    await d.press("ctrl+c")
    (command,) = d.commands()
    assert command["args"] == {"now": True}


@drive(SMALL)
async def test_quit_asks_first_where_something_is_live(d):
    frame = rows(d.player, 1)
    frame["totals"].update(websockets=2, active=1)
    await d.say(frame)
    await d.press("q")
    assert d.commands() == []
    assert "2 WebSockets and 1 request are live · q again ends" in d.screen()[-2]
    await d.press("q")
    (command,) = d.commands()
    assert command["name"] == "stop" and command["args"] == {"now": False}


@drive(SMALL)
async def test_the_end_of_the_feed_after_quit_is_a_good_end(d):
    await d.press("q")
    d.sock.close()
    await d.until(lambda: d.app._exit)
    assert d.app.ending.exit_code == 0


@drive(SMALL)
async def test_the_end_of_the_feed_by_itself_is_told_and_no_good_end(d):
    d.sock.close()
    await d.until(lambda: d.app._exit)
    assert d.app.ending.exit_code == 1 and "server ended" in d.app.session.notices.newest.text


@drive(SMALL)
async def test_rubbish_on_the_feed_ends_it_with_the_reason(d):
    d.sock.sendall(b"not json\n")
    await d.until(lambda: d.app._exit)
    assert "not readable" in d.app.feed.ended


@drive(SMALL)
async def test_leaving_right_after_the_start_is_no_failure(d):
    d.app.asking.entry = None  # what is made of it a moment after the first paint is to come
    d.app.exit()
    await d.app.asking.make()
    assert d.app.asking.entry is None and d.app.failure is None


# -- the budget

@drive(LARGE)
async def test_no_textual_message_is_spent_on_an_event(d):
    posted = []
    original = MessagePump.post_message

    def counting(self, message):
        posted.append(type(message).__name__)
        return original(self, message)

    def burst(count):
        for _ in range(count // 100):
            d.sock.sendall(line(rows(d.player, 100)))

    async def messages_for(count):
        posted.clear()
        wanted = d.app.session.traffic.seen + count
        sender = asyncio.get_running_loop().run_in_executor(None, burst, count)
        await d.until(lambda: d.app.session.traffic.seen >= wanted)
        await sender
        d.app.draw_changes(hurry=True)
        await d.pilot.pause()
        return len(posted)

    d.sock.setblocking(True)
    MessagePump.post_message = counting
    try:
        few, many = await messages_for(100), await messages_for(10_000)
    finally:
        MessagePump.post_message = original
        d.sock.setblocking(False)
    assert many < few + 400, (few, many)


@drive(LARGE)
async def test_a_quiet_feed_draws_nothing(d):
    now = d.app.session.clock()
    d.app.session.clock = lambda: now  # the age of connections is news once a second
    await d.say(d.player.frame(4711), d.player.frame(4712))
    d.app.session.tick()
    d.app.draw_changes(hurry=True)
    for _ in range(5):
        await d.say(d.player.frame(4711), d.player.frame(4712))
    before = [pane.draws for pane in d.app.panes.values()]
    for _ in range(10):
        await d.say(d.player.frame(4711), d.player.frame(4712))
    assert [pane.draws for pane in d.app.panes.values()] == before


@drive(LARGE)
async def test_what_changes_beside_a_list_does_not_draw_it_again(d):
    await d.say(rows(d.player, 60))
    traffic, log = d.app.panes["traffic"], d.app.panes["log"]
    before = traffic.draws, log.draws
    await d.say(d.player.log("a line above and below which nothing changes"))
    assert (traffic.draws, log.draws) == (before[0], before[1] + 1)


@drive(LARGE)
async def test_rows_that_were_never_in_view_are_never_formatted(d):
    traffic, formatted = d.app.panes["traffic"], []
    original = traffic.pieces
    traffic.pieces = lambda index, width: formatted.append(index) or original(index, width)
    for _ in range(10):
        burst = b"".join(line(rows(d.player, 100)) for _ in range(5))  # more than a socket holds
        await asyncio.get_running_loop().sock_sendall(d.sock, burst)
        wanted = d.app.session.traffic.seen
        await d.until(lambda wanted=wanted: d.app.session.traffic.seen > wanted)
    await d.until(lambda: d.app.session.traffic.seen == 5_000)
    d.app.draw_changes(hurry=True)
    await d.pilot.pause()
    assert "FOLLOW" in d.text() and len(formatted) <= 12 * traffic.body_height


@drive(SMALL)
async def test_hidden_panes_are_not_drawn(d):
    log = d.app.panes["log"]
    for _ in range(10):
        await d.say(d.player.log("a line"), rows(d.player, 3))
    assert log.draws == 0
