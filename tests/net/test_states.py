"""The tables of states: every state can be reached and left, and the end is the end."""

import pytest

from tremolo.net import states
from tremolo.net.deadlines import ON_DEADLINE
from tremolo.net.states import (
    ABANDONED,
    CLOSE,
    CLOSED,
    CLOSING,
    DISCARD,
    DISCARDING,
    EXCHANGE,
    FLUSH,
    FLUSHING,
    HEAD,
    HEAD_BEGUN,
    HEADED,
    IDLE,
    LINGER,
    LINGERING,
    LOST,
    NEXT,
    PROGRESS,
    REQUEST,
    STATES,
    UNANSWERED,
    UPGRADE,
    UPGRADED,
    WAITING,
    WHOLE,
)

each_state = pytest.mark.parametrize("state", STATES, ids=repr)
each_progress = pytest.mark.parametrize("progress", PROGRESS, ids=repr)


def reachable(first):
    found, left = {first}, [first]
    while left:
        for following in left.pop().after.values():
            if following not in found:
                found.add(following)
                left.append(following)
    return found


def walk(first, *events):
    for event in events:
        first = first.after[event]
    return first


@pytest.mark.parametrize("events, last", [
    pytest.param([REQUEST, NEXT], IDLE, id="request"),
    pytest.param([HEAD_BEGUN, REQUEST, FLUSH, NEXT], IDLE, id="slow both ways"),
    pytest.param([REQUEST, DISCARD, NEXT], IDLE, id="unread body"),
    pytest.param([REQUEST, FLUSH, DISCARD, NEXT], IDLE, id="slow client, unread body"),
    pytest.param([REQUEST, UPGRADE, CLOSE, LINGER, LOST], CLOSED, id="WebSocket"),
    pytest.param([REQUEST, CLOSE, LINGER, CLOSE, LOST], CLOSED, id="last words"),
    pytest.param([CLOSE, LOST], CLOSED, id="idle for too long"),
    pytest.param([REQUEST, LOST, CLOSE], CLOSED, id="gone in the middle"),
])
def test_the_life_of_a_connection(events, last):
    assert walk(IDLE, *events) is last


def test_every_state_is_reached_from_the_first():
    assert reachable(IDLE) == set(STATES)


@each_state
def test_every_state_can_be_closed_and_lost(state):
    assert state.after[LOST] is CLOSED
    assert state.after[CLOSE].closing


@each_state
def test_what_closes_never_takes_up_a_request_again(state):
    if state.closing:
        assert all(following.closing for following in reachable(state))
        assert not {REQUEST, NEXT, UPGRADE}.intersection(state.after)


@pytest.mark.parametrize("state, event", [
    (EXCHANGE, REQUEST), (FLUSHING, REQUEST), (DISCARDING, REQUEST), (UPGRADED, REQUEST),
    (UPGRADED, NEXT), (IDLE, UPGRADE), (HEAD, NEXT), (IDLE, LINGER), (CLOSED, LINGER),
])
def test_what_cannot_happen_is_an_error(state, event):
    with pytest.raises(KeyError):
        state.after[event]


@each_state
def test_every_state_says_what_its_deadline_means(state):
    assert state in ON_DEADLINE and state.word


def test_only_what_is_sent_is_lingered_for():
    assert [state for state in STATES if LINGER in state.after] == [CLOSING]
    assert CLOSING.after[LINGER] is LINGERING


@pytest.mark.parametrize("events, last", [
    pytest.param(["START", "SEND_HEAD", "COMPLETE"], WHOLE, id="whole"),
    pytest.param(["START", "SEND_HEAD", "ABANDON"], ABANDONED, id="under way"),
    pytest.param(["START", "RETRACT", "START"], HEADED, id="another in its place"),
    pytest.param(["ABANDON", "START"], UNANSWERED, id="the client left first"),
    pytest.param(["COMPLETE"], WHOLE, id="upgraded"),
])
def test_the_life_of_a_response(events, last):
    assert walk(WAITING, *(getattr(states, event) for event in events)) is last


def test_every_progress_is_reached_from_the_first():
    assert reachable(WAITING) == set(PROGRESS)


@each_progress
def test_every_response_can_be_given_up(progress):
    assert progress.after[states.ABANDON].abandoned


@each_progress
def test_what_is_finished_stays_so(progress):
    if progress.finished:
        assert all(following.finished for following in progress.after.values())


@each_progress
def test_a_head_that_is_on_the_way_is_not_taken_back(progress):
    assert (states.RETRACT in progress.after) == (progress in (WAITING, HEADED))
