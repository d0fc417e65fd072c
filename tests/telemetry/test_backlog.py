"""Log lines that wait: the newest are kept, the others counted."""

from tremolo.telemetry.backlog import Backlog


def test_the_newest_lines_are_kept_and_the_others_counted():
    backlog = Backlog(most=3)
    for number in range(10):
        backlog.add(number)
    assert len(backlog) == 3
    assert backlog.take() == (7, [7, 8, 9])
    assert backlog.take() == (0, [])
