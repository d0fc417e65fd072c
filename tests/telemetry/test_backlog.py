"""Log lines that wait: the newest are kept, the others counted."""

from tremolo.telemetry.backlog import Backlog, left_out_event


def test_the_newest_lines_are_kept_and_the_others_counted():
    backlog = Backlog(most=3)
    for number in range(10):
        backlog.add(number)
    assert len(backlog) == 3
    assert backlog.take() == (7, [7, 8, 9])
    assert backlog.take() == (0, [])


def test_the_gap_has_a_line_of_its_own():
    event = left_out_event(1200, 5.0, 7, 3)
    assert event["left_out"] == 1200 and event["text"].startswith("1,200 lines left out here")
    assert (event["kind"], event["pid"], event["gen"]) == ("log", 7, 3)
    assert left_out_event(1, 5.0)["text"].startswith("1 line left out")
