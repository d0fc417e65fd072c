"""Of a flood of exceptions: the first ones whole, more with their place, the rest by kind."""

import logging
from types import SimpleNamespace

import pytest

from tremolo.insight.insight import Insight
from tremolo.worker.error_reports import (
    AT_ONCE,
    ERRORS_A_SECOND,
    MAX_COUNTED,
    SHARE,
    ErrorReports,
)

COST = 0.004  # seconds of processor that a description takes here
WHOLE = round(AT_ONCE / COST)


class Link:
    gen, congested = 3, False

    def __init__(self):
        self.sent, self.logged = [], []

    def send(self, message):
        self.sent.append(message)

    def log(self, level, text):
        self.logged.append(text)


class Reporting:
    """Reports with clocks of our own: what is described takes `COST`."""

    def __init__(self):
        self.now, self.worked, self.link = 100.0, 0.0, Link()
        insight = Insight(logging.getLogger("tests"), is_project=lambda path: True)
        self.reports = ErrorReports(self.link, lambda: self.now, self.thread_cpu)
        self.reports.use(insight)

    def thread_cpu(self):
        self.worked += COST / 2  # it is asked before and after
        return self.worked * 2

    def fail(self, exc, count=1):
        for _ in range(count):
            exchange = SimpleNamespace(
                id=len(self.link.sent), response=SimpleNamespace(status=500),
                head=SimpleNamespace(method=b"GET", target=b"/x"))
            self.reports.on_error(exchange, exc)

    def told(self):
        sent, self.link.sent = self.link.sent, []
        return sent


@pytest.fixture
def reporting():
    return Reporting()


def of_kind(number):
    """An exception of a class that no other number has."""
    try:
        raise type(f"Error{number}", (ValueError,), {})(f"no {number}")
    except ValueError as exc:
        return exc


def test_one_exception_after_the_other_is_described_whole(reporting):
    exc = of_kind(1)
    for _ in range(50):
        reporting.fail(exc)
        reporting.now += COST / SHARE
    assert all(event["chain"] and "brief" not in event for event in reporting.told())


def test_of_a_burst_the_first_ones_are_whole_and_more_have_their_place(reporting):
    for number in range(ERRORS_A_SECOND):
        reporting.fail(of_kind(number))
    told = reporting.told()
    whole = [event for event in told if "brief" not in event]
    assert whole == told[:len(whole)] and abs(len(whole) - WHOLE) <= 1
    for number, event in enumerate(told):
        assert (event["type"], event["text"]) == (f"Error{number}", f"no {number}")
        assert event["file"] == __file__ and event["line"] and event["path"] == "/x"
        assert f'File "{__file__}", line {event["line"]}' in event["traceback"]
        assert ("chain" in event) == (event in whole)
    assert "too many" in told[-1]["traceback"]
    assert reporting.worked <= AT_ONCE + COST


def test_the_rest_is_counted_by_kind_and_told_when_there_is_time(reporting):
    reporting.fail(of_kind(0), ERRORS_A_SECOND)
    reporting.told()
    reporting.fail(of_kind(1), 7)
    reporting.fail(of_kind(2))
    reporting.reports.tell_counted()
    assert reporting.told() == []
    reporting.now += 1.0
    reporting.reports.tell_counted()
    told = reporting.told()
    assert [(event["type"], event["text"], event["count"]) for event in told] == [
        ("Error1", "no 1", 7), ("Error2", "no 2", 1)]
    assert not any("request" in event for event in told), "each was of another"
    reporting.now += 5.0
    reporting.reports.tell_counted()
    assert not reporting.told() and not reporting.link.logged


def test_so_many_kinds_are_counted_and_the_number_of_others(reporting):
    reporting.fail(of_kind(0), ERRORS_A_SECOND)
    for number in range(MAX_COUNTED + 5):
        reporting.fail(of_kind(1000 + number))
    reporting.told()
    reporting.now += 1.0
    reporting.reports.tell_counted()
    assert len(reporting.told()) == MAX_COUNTED
    assert [line.partition(" ")[0] for line in reporting.link.logged] == ["5"]


def test_what_was_not_seen_yet_is_described_while_something_known_floods(reporting):
    known = of_kind(0)
    for _ in range(60):
        reporting.fail(known)
        reporting.now += 0.02
    assert sum("brief" in event for event in reporting.told()) > 20
    reporting.fail(of_kind(1))
    assert reporting.told()[0]["chain"]


def test_exceptions_of_tasks_are_bounded_as_well(reporting):
    for number in range(3 * ERRORS_A_SECOND):
        reporting.reports.on_loop_error(None, {"exception": of_kind(number)})
    told = reporting.told()
    assert len(told) == ERRORS_A_SECOND
    assert {event["where"] for event in told} == {"task"}
    assert "traceback" in told[0] and sum("brief" in event for event in told) > WHOLE
