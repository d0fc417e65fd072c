"""What is said of new code that takes long to start: who answers in the meantime."""

from types import SimpleNamespace

import pytest

from tremolo.supervisor.worker_observer import WorkerObserver
from tremolo.telemetry.builders import SLOW_START, log_event

SLOW = "gen 3 has not started after 5 s: shop.py:1 in <module>"


def serving(*states, error=None):
    workers = {slot: SimpleNamespace(state=state) for slot, state in enumerate(states)}
    return SimpleNamespace(number=2, error=error, workers=workers)


@pytest.mark.parametrize(("serves", "words"), [
    (serving("serving"), "gen 2 serves meanwhile"),
    (serving("exited", "serving"), "gen 2 serves meanwhile"),
    (serving("exited", "draining"), "nobody serves meanwhile"),
    (None, "nobody serves meanwhile"),
    (serving("serving", error={"type": "KeyError"}),
     "the page of the last error is served meanwhile"),
])
def test_a_slow_start_says_who_serves_meanwhile(serves, words):
    published = []
    feed = SimpleNamespace(publish=lambda event, line=None: published.append(event))
    observer = WorkerObserver(feed, *[None] * 7)
    observer._generations = SimpleNamespace(serving=serves)
    observer.worker_event(None, log_event(SLOW, "warning", SLOW_START))
    observer.worker_event(None, log_event("another line", "warning", "shop"))
    assert [event["text"] for event in published] == [f"{SLOW}; {words}", "another line"]
