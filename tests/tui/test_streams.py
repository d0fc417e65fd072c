"""WebSockets and event streams in the dashboard: what was said on them, as it is said."""

import asyncio

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, SMALL, dashboard, drive
from tremolo.telemetry.builders import past_event
from tui.model.conversations import MOST, Conversations

HOSTILE = "\x1b[2J[bold]\u202e\x00"


def said(number, text, incoming=False, kind="text", **more):
    return {"conn": 91, "id": number, "t": 1_700_000_000.0, "in": incoming, "kind": kind,
            "size": len(text), "text": text, **more}


async def open_socket(d, *messages):
    row = d.player.row(4711, path="/ws/chat", status=101, http="ws", state="live", ms=1500.0,
                       conn=91, id=5)
    await d.say({**d.player.frame(4711, [row]), "messages": list(messages)})
    await d.press("up", "enter")


@drive(SMALL)
async def test_a_websocket_opens_on_its_messages_and_follows_them(d):
    await open_socket(d, said(5, '{"n": 1}', True), said(5, '{"echo": 1}'))
    text = d.text()
    assert "Messages" in text and '↑     8 b {"n": 1}' in text and '{"echo": 1}' in text
    for number in range(40):
        await d.say({**d.player.frame(4711), "messages": [said(5, f"message {number}")]})
    assert "message 39" in d.text() and "FOLLOW" in d.text()


@drive(SMALL)
async def test_the_view_stays_where_somebody_reads(d):
    await open_socket(d, *(said(5, f"message {number:03}") for number in range(60)))
    await d.press("enter", "up", "up", "up")
    before = [line[:-1] for line in d.screen() if "message 0" in line]
    await d.say({**d.player.frame(4711), "messages": [said(5, "one more")] * 20})
    assert [line[:-1] for line in d.screen() if "message 0" in line] == before != []
    await d.press("G")
    assert "one more" in d.text()


@drive(SMALL)
async def test_pings_are_hidden_until_they_are_asked_for(d):
    await open_socket(d, said(5, "life", True, "ping"), said(5, "words", wire=4))
    assert "h shows 1 ping" in d.text()
    assert "words" in d.text() and "ping life" not in d.text()
    await d.press("enter", "h")
    assert "ping life" in d.text()


@drive(LARGE)
async def test_json_is_indented_and_bytes_are_hex_when_messages_are_shown_in_full(d):
    await open_socket(d, said(5, '{"name": "lamp", "tags": [1, 2]}'),
                      {**said(5, "", kind="binary"), "text": None, "data64": "AP8Q", "size": 3})
    await d.press("z")
    await d.press("1", "enter")
    d.app.detail.action_whole()
    await d.pilot.pause()
    text = d.text()
    assert '"name": "lamp",' in text and "00 ff 10" in text


@drive(SMALL)
async def test_compressed_messages_show_their_size_on_the_wire_too(d):
    await open_socket(d, said(5, "x" * 4000, True, wire=30), said(5, "plain"))
    text = d.text()
    assert "4.0 k as 30 b on the wire" in text and "4.0 k    (30 b) xxx" in text
    d.app.detail.action_whole()
    await d.press()
    assert "4.0 k, compressed to 30 b on the wire" in d.text()


@drive((100, 30))
async def test_what_there_is_to_say_of_messages_is_wrapped(d):
    await open_socket(d, said(5, "x" * 4000, True, wire=30), said(5, "a", True, "ping"))
    shown = " ".join(" ".join(line.partition("│")[2].split()) for line in d.screen())
    assert "h shows 1 ping 4.0 k as 30 b on the wire" in shown


def test_of_messages_before_a_dashboard_came_it_is_said_that_they_were_not_seen():
    async def main():
        async with dashboard(LARGE, guest=True) as d:
            await d.say(past_event(0, 0))
            await open_socket(d)
            assert "no message since " in d.text()
            await d.say({**d.player.frame(4711), "messages": [said(5, "hello")]})
            assert "were not seen here" in d.text() and "those before " in d.text()
    asyncio.run(main())


@drive(SMALL)
async def test_what_is_found_in_messages_is_gone_to(d):
    await open_socket(d, *(said(5, f"message {number:03}") for number in range(80)))
    await d.press("enter", "slash", *"message 012", "enter")
    assert "message 012" in d.text() and "message 079" not in d.text()
    await d.press("escape")


@drive(SMALL)
async def test_nothing_in_a_message_is_markup_or_reaches_the_terminal(d):
    await open_socket(d, said(5, HOSTILE, True), said(5, HOSTILE, kind=HOSTILE))
    seen = d.text()
    assert "[bold]" in seen and "\\u202e" in seen
    assert all(char.isprintable() or char == "\n" for char in seen)


def test_messages_are_bounded_and_the_forgotten_ones_counted():
    known = Conversations()
    known.frame(1, [said(5, str(number)) for number in range(MOST + 10)], 3)
    talk = known.of(1, 5)
    assert len(talk.messages) == MOST and talk.forgotten == 10 and known.left_out == 3
    assert talk.sent == MOST + 10 and talk.received == 0


@pytest.mark.parametrize("broken", [
    {"id": 5, "data64": "not base64!"}, {"id": "x"}, {"id": 5, "size": "many"},
    {"id": 5, "wire": "many"}], ids=str)
def test_a_message_of_the_wrong_form_is_refused(broken):
    from tests.support.feed_player import FeedPlayer
    from tui.model.session import Session

    session, player = Session(clock=lambda: 1.0), FeedPlayer(clock=lambda: 1.0)
    session.apply({**player.frame(4711), "messages": [broken]})
    assert session.rejected == 1
