"""Log lines that wait: the newest are kept, the others counted."""

from tremolo.telemetry.backlog import Backlog


def test_the_newest_lines_are_kept_and_the_others_counted():
    backlog = Backlog(most=3)
    for number in range(10):
        backlog.add(number)
    assert len(backlog) == 3
    assert backlog.take() == (7, [7, 8, 9])
    assert backlog.take() == (0, [])


def test_one_that_tells_of_those_left_out_before_counts_for_them():
    backlog = Backlog(most=2)
    for line, stands_for in (("a", 1), ("4 left out", 4), ("b", 1), ("c", 1)):
        backlog.add(line, stands_for)
    assert backlog.take() == (5, ["b", "c"])
