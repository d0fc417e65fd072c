"""A dashboard that joins a running server: it begins with what happened last, as past."""

import asyncio

import pytest

from tests.support.dashboard_driver import LARGE, SMALL, dashboard
from tests.support.feed_player import FeedPlayer
from tremolo.telemetry.builders import earlier, past_event
from tui.model.records import records_of
from tui.model.session import Session
from tui.model.traffic import Row


@pytest.fixture
def player():
    return FeedPlayer(clock=lambda: 1000.0)


@pytest.fixture
def session(player):
    session = Session(clock=lambda: 1000.0)
    session.apply(player.hello())
    session.past.ask()
    return session


def rows(session):
    return [entry.path for entry in session.traffic.entries if isinstance(entry, Row)]


def requested(player, path, **more):
    return player.frame(4711, [player.row(4711, method="GET", path=path, status=200)], **more)


def answered(session):
    session.apply({"v": 1, "kind": "ack", "seq": 1, "ok": True, "error": None, "result": True})


def test_what_comes_before_the_answer_is_listed_once_and_in_its_place(session, player):
    early = requested(player, "/early")
    session.apply(early)
    assert rows(session) == [] and session.totals.sums().plain["requests"] == 1
    session.apply(earlier(requested(player, "/before")))
    session.apply(earlier(early))
    answered(session)
    session.apply(requested(player, "/after"))
    assert rows(session) == ["/before", "/early", "/after"] and session.rejected == 0


def test_log_lines_and_errors_come_once_as_well(session, player):
    line, error = player.log("cache miss"), player.error()
    for message in (line, error, earlier(line), earlier(error)):
        session.apply(message)
    answered(session)
    assert len(session.log.lines) == 1 and session.errors.total == 1


def test_what_was_news_then_is_none_now(session, player):
    asked = []
    session.on_ready = lambda: asked.append("replay")
    session.on_breakpoint = lambda pid, text: asked.append("debugger")
    ready = {"v": 1, "kind": "reload", "t": 990.0, "gen": 2, "serving": 2, "state": "ready",
             "cause": "files", "files": ["shop.py"], "ms": 40.0}
    for message in (ready, player.error(),
                    {**player.log("waits", name="tremolo.debugger"), "waits": True}):
        session.apply(earlier(message))
    assert not asked and not session.notices.items
    assert session.traffic.entries[-1].label == "gen 2 · shop.py · 40 ms"
    assert session.reload.gen == 14


def test_what_is_missing_is_said_at_its_place_and_kept_in_a_saved_session(session, player):
    session.apply(past_event(1234, 7))
    session.apply(earlier(requested(player, "/before")))
    assert session.traffic.entries[0].label == "1,234 earlier requests not listed"
    assert session.log.forgotten == 7
    again = Session(clock=lambda: 1000.0)
    for record in records_of(session):
        again.apply(record)
    assert again.traffic.entries[0].missing == 1234


def test_a_server_that_knows_no_past_is_shown_from_now_on(session, player):
    session.apply({"v": 1, "kind": "ack", "seq": 1, "ok": False, "error": "no such command"})
    session.apply(requested(player, "/after"))
    assert rows(session) == ["/after"] and "no such command" in session.notices.newest.text


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["large", "small"])
def test_a_guest_asks_for_the_past_and_shows_it(size):
    async def main():
        async with dashboard(size, guest=True) as d:
            await d.say(past_event(3, 0), earlier(requested(d.player, "/before")))
            assert "── 3 earlier requests not listed ──" in d.text() and "/before" in d.text()
    asyncio.run(main())
