"""How much may be shown follows from what showing costs, and from how busy the process is."""

import pytest

from tremolo.worker.pacing import (
    A_LOAD,
    A_PAGE,
    A_ROW,
    BUSY,
    BUSY_SHARE,
    CREDIT,
    IDLE_SHARE,
    LEAST_SOUGHT,
    MAX_ROWS,
    MIN_ROWS,
    MORE_CREDIT,
    MOST_SOUGHT,
    SAVED,
    SAVED_OF_A_LOAD,
    SOUGHT_TIME,
    Pacing,
)

TURN = 0.1


def turned(pacing, cost_of_a_row, busy, turns=200, used=1.0, rows=None):
    """So many turns of a process that gets the part `used` of what it is busy for, and that tells
    as much as it may; how many rows that were."""
    told = []
    for _ in range(turns):
        pacing.passed(TURN, used * busy * TURN, busy * TURN)
        told.append(pacing.rows if rows is None else min(rows, pacing.rows))
        pacing.told(told[-1], told[-1] * cost_of_a_row)
    return told


def test_at_rest_all_is_shown_for_as_long_as_it_fits_in_its_share():
    cost = (IDLE_SHARE + BUSY_SHARE) / 2 * TURN / 100
    assert set(turned(Pacing(), cost, 0.1, rows=100)) == {100}


@pytest.mark.parametrize("cost_of_a_row", [10e-6, 40e-6, 100e-6])
def test_at_work_rows_take_their_share_of_the_time_and_no_more(cost_of_a_row):
    pacing = Pacing()
    told = turned(pacing, cost_of_a_row, 1.0, turns=1000)
    assert pacing.share == BUSY_SHARE
    assert 0.8 * BUSY_SHARE < sum(told[100:]) * cost_of_a_row / TURN / 900 <= 1.01 * BUSY_SHARE


def test_when_work_begins_what_was_saved_may_be_spent_once_and_no_more():
    """Whether it is a burst or a load that stays is not known yet."""
    pacing = Pacing()
    for turns in (1, 5, 20):
        turned(pacing, 0.0, 0.0, rows=0)
        spent = pacing.spent
        turned(pacing, 50e-6, 1.0, turns)
        assert pacing.spent - spent <= 1.3 * SAVED + BUSY_SHARE * TURN * turns


def test_what_was_saved_is_for_pages_and_little_of_it_for_a_load():
    for begun, least, most in ((A_LOAD, CREDIT, MAX_ROWS),
                               (A_LOAD + 1, MIN_ROWS, 1.1 * SAVED_OF_A_LOAD / 25e-6 + 24)):
        pacing = Pacing()
        turned(pacing, 0.0, 0.0, rows=0)
        pacing.passed(TURN, TURN, TURN, begun)
        assert least <= pacing.rows <= most
    turned(pacing, 0.0, 0.0, rows=0)
    assert pacing.rows >= A_PAGE  # again, after a rest


def test_a_page_that_comes_after_a_rest_is_looked_into_whole_whatever_rows_cost():
    pacing = Pacing()
    turned(pacing, 500e-6, 1.0)
    turned(pacing, 0.0, 0.0, rows=0)
    assert pacing.room == A_PAGE > pacing.rows


def test_what_viewers_look_for_has_time_of_its_own_which_is_bounded():
    for cost, most in ((10e-6, MOST_SOUGHT), (60e-6, 10), (1e-3, LEAST_SOUGHT)):
        alone, beside = Pacing(), Pacing()
        without = turned(alone, cost, 1.0)
        for _ in range(200):
            beside.passed(TURN, TURN, TURN)
            rows, sought = beside.rows, beside.sought
            beside.told(rows + sought, (rows + sought) * cost, sought)
        assert sought == most
        assert beside.spent <= sum(without) * cost + 200 * (SOUGHT_TIME + LEAST_SOUGHT * cost)


def test_a_process_that_others_leave_half_of_the_processor_shows_half_as_much():
    pacing = Pacing()
    told = turned(pacing, 10e-6, 1.0, turns=1000, used=0.5)
    assert pacing.share == BUSY_SHARE / 2
    assert sum(told[100:]) * 10e-6 / TURN / 900 <= 1.01 * BUSY_SHARE / 2


def test_while_others_want_the_processor_what_was_saved_weighs_as_much_more():
    for used in (1.0, 0.5, 0.1):
        pacing = Pacing()
        [told] = turned(pacing, A_ROW, 1.0, turns=1, used=used)
        assert abs(told - max(CREDIT, used * SAVED / A_ROW)) <= 1


def test_a_page_is_shown_whole_after_a_rest_however_much_others_want_the_processor():
    pacing = Pacing()
    for rest in (0, CREDIT // MORE_CREDIT):
        turned(pacing, 0.0, 0.0, turns=rest, rows=0)
        told = turned(pacing, 300e-6, 1.0, turns=5, used=0.1, rows=CREDIT // 4)
        assert sum(told) >= CREDIT
        assert set(turned(pacing, 300e-6, 1.0, used=0.1)) == {MIN_ROWS}


def test_between_rest_and_work_the_share_falls_evenly():
    shares = []
    for busy in range(11):
        pacing = Pacing()
        turned(pacing, 0.0, busy / 10, turns=1)
        shares.append(pacing.share)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == IDLE_SHARE and 0.02 < shares[3] < 0.04
    assert shares[round(BUSY * 10)] == shares[-1] == BUSY_SHARE


def test_some_rows_are_shown_whatever_they_cost_and_more_again_afterwards():
    pacing = Pacing()
    assert set(turned(pacing, 1.0, 1.0)[1:]) == {MIN_ROWS}
    pacing = Pacing()
    turned(pacing, 50e-6, 1.0)
    turned(pacing, 0.0, 0.0, rows=0)
    assert pacing.rows >= 0.9 * SAVED / 50e-6


def test_rows_that_cost_little_are_many_but_not_more_than_anybody_can_take():
    pacing = Pacing()
    turned(pacing, 1e-6, 0.1, rows=100)
    assert pacing.rows == MAX_ROWS


def test_a_turn_that_cost_much_without_rows_says_nothing_of_what_rows_cost():
    pacing = Pacing()
    for _ in range(50):
        pacing.passed(TURN, 0.0, 0.0)
        pacing.told(1, IDLE_SHARE * TURN)
    pacing.passed(TURN, 0.0, 0.0)
    pacing.passed(TURN, 0.0, 0.0)
    assert pacing.rows == round(SAVED / A_ROW)


def test_a_process_stays_busy_from_the_second_turn_on():
    pacing = Pacing()
    seen = []
    for busy in (0.0, 1.0, 0.6, 0.1, 1.0):
        pacing.passed(TURN, busy * TURN, busy * TURN)
        seen.append((pacing.busy, pacing.stays_busy))
    assert seen == [(False, False), (True, False), (True, True), (False, False), (True, False)]


def test_captures_are_fewer_where_rows_are():
    pacing = Pacing()
    assert pacing.captures == 20
    turned(pacing, 1.0, 1.0)
    assert 0 < pacing.captures < 10
