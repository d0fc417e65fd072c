"""How much may be shown follows from what showing costs, and from how busy the process is."""

from tremolo.worker.pacing import BUSY_SHARE, IDLE_SHARE, MAX_ROWS, MIN_ROWS, Pacing


def turned(pacing, cost_of_a_row, busy, turns=200, passed=0.1, used=1.0):
    """So many turns of a process that gets the part `used` of what it is busy for."""
    for _ in range(turns):
        pacing.turned(pacing.rows, pacing.rows * cost_of_a_row, used * busy * passed,
                      busy * passed, passed)
    return pacing


def test_at_rest_all_is_shown_for_as_long_as_it_fits_in_its_share():
    assert turned(Pacing(), IDLE_SHARE * 0.1 / MAX_ROWS * 0.99, 0.1).rows == MAX_ROWS


def test_at_work_rows_take_their_share_of_the_time_and_no_more():
    pacing = turned(Pacing(), 10e-6, 1.0)
    assert pacing.share == BUSY_SHARE
    assert 0.9 * BUSY_SHARE < pacing.rows * 10e-6 / 0.1 < 1.1 * BUSY_SHARE


def test_a_process_that_others_leave_half_of_the_processor_shows_half_as_much():
    pacing = turned(Pacing(), 10e-6, 1.0, used=0.5)
    assert pacing.share == BUSY_SHARE / 2
    assert 0.9 * BUSY_SHARE / 2 < pacing.rows * 10e-6 / 0.1 < 1.1 * BUSY_SHARE / 2


def test_between_rest_and_work_the_share_falls_evenly():
    shares = [turned(Pacing(), 0.0, busy / 10, turns=1).share for busy in range(11)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == IDLE_SHARE and shares[-1] == BUSY_SHARE and 0.02 < shares[6] < 0.04


def test_some_rows_are_shown_whatever_they_cost_and_more_again_afterwards():
    pacing = turned(Pacing(), 1.0, 1.0)
    assert pacing.rows == MIN_ROWS
    assert turned(pacing, 0.0, 0.0).rows == MAX_ROWS


def test_a_turn_that_cost_much_without_rows_does_not_divide_by_them():
    pacing = Pacing()
    pacing.turned(0, 0.5, 0.1, 0.1, 0.1)
    assert pacing.rows == MIN_ROWS and pacing.spent == 0.5


def test_captures_are_fewer_where_rows_are():
    assert Pacing().captures == 20
    assert 0 < turned(Pacing(), 1.0, 1.0).captures < 10
