"""The status row: what stands there, what passes, and the list of all."""

import pytest

from tests.support.feed_player import FeedPlayer
from tui.model.notices import BRIEF, KEPT, Notices
from tui.model.session import Session


@pytest.fixture
def session():
    session = Session(clock=lambda: session.now)
    session.now = 100.0
    player = session.player = FeedPlayer(clock=lambda: 1_700_000_000.0)
    session.apply(player.hello())
    return session


def shown(session):
    return session.notices.shown(session.clock()).text


def fail(session):
    player = session.player
    session.apply(player.reload("started"))
    session.apply(player.reload("failed"))


def test_exceptions_of_requests_do_not_take_the_place_of_a_failed_reload(session):
    fail(session)
    session.apply(session.player.error())
    assert "gen 15 failed" in shown(session)
    assert "KeyError" in session.notices.newest.text


def test_what_a_key_did_is_shown_for_a_moment_though_a_failure_stands(session):
    fail(session)
    session.notify("curl command copied", "good")
    assert shown(session) == "curl command copied"
    session.now += BRIEF
    assert "gen 15 failed" in shown(session)


def test_a_failed_reload_is_cured_by_a_good_one(session):
    fail(session)
    session.apply(session.player.reload("started"))
    session.apply(session.player.reload("ready"))
    assert not session.notices.standing and "reloaded" in shown(session)


def test_a_failure_stands_until_the_notices_were_looked_at(session):
    fail(session)
    session.now += 3600
    assert "gen 15 failed" in shown(session)
    session.notices.seen()
    session.notify("something else")
    session.now += 3600
    assert shown(session) == "something else"


def test_a_blocked_worker_is_cured_when_it_goes_on(session):
    session.apply(session.player.worker(4711, "blocked", cause="worker is blocked by x.py:3"))
    assert "blocked" in shown(session) and session.notices.standing
    session.apply(session.player.worker(4711, "serving"))
    assert not session.notices.standing


def test_a_dead_worker_is_cured_by_the_one_that_replaces_it(session):
    player = session.player
    session.apply(player.worker(4711, "exited", cause="SIGKILL", expected=False, retry_in=0.5))
    assert "worker 4711 died" in shown(session) and session.notices.standing
    session.apply(player.worker(4799, "serving", slot=0))
    assert not session.notices.standing


def test_several_failures_stand_and_the_newest_is_shown():
    notices = Notices()
    notices.add("first", "error", 1.0, "reload")
    notices.add("second", "warning", 2.0, "pins")
    assert notices.shown(50.0).text == "second" and len(notices.standing) == 2
    notices.cure("pins")
    assert notices.shown(50.0).text == "first"


def test_equal_notices_in_a_row_are_counted_and_the_oldest_forgotten():
    notices = Notices()
    notices.add("again", "info", 1.0)
    notices.add("again", "info", 2.0)
    assert [notice.count for notice in notices.items] == [2]
    for number in range(KEPT + 5):
        notices.add(f"notice {number}", "info", 3.0)
    assert len(notices.items) == KEPT and notices.items[0].text == "notice 5"


def test_what_becomes_of_a_program_beside_the_server_is_told(session):
    session.apply({**session.player.hello(), "companions": [{"name": "web"}]})
    log = {"kind": "log", "stream": "tremolo", "level": "warning", "t": 1.0}
    session.apply({**log, "name": "web", "text": "web ended: exit code 1"})
    assert shown(session) == "web ended: exit code 1"
    session.apply({**log, "name": "other", "text": "something else"})
    assert shown(session) == "web ended: exit code 1"
