"""How much the sampler shows of a load: as much as can be told in time."""

import asyncio

import pytest

from tests.support.fake_server import FakeServer
from tremolo.net.recent import MOST_FIRST
from tremolo.worker.pacing import (
    A_PAGE,
    A_ROW,
    BUSY_SHARE,
    MIN_ROWS,
    SAVED_OF_A_LOAD,
)
from tremolo.worker.sampler import TICK, Sampler


class Processor:
    """Clocks of processor seconds: each frame costs, and each row in it, and the process does
    nothing else, or works all the time."""

    def __init__(self, a_frame, busy, a_row=0.0):
        self.a_frame, self.busy, self.a_row = a_frame, busy, a_row
        self.told = self.at = 0.0

    def sink(self, frame):
        self.told += self.a_frame + self.a_row * len(frame.get("rows", ()))
        return True

    def scheduled(self):
        self.at += self.busy * TICK
        return self.at, 0.0


def watched_under_load(processor, a_turn, turns=40):
    """A server that answers so many requests before each turn, and how many rows each had."""
    loop = asyncio.new_event_loop()
    server, rows = FakeServer(), []

    def sink(frame):
        rows.append(len(frame.get("rows", ())))
        return processor.sink(frame)

    made = Sampler(server, sink, loop, thread_cpu=lambda: processor.told,
                   process_cpu=lambda: processor.at, scheduled=processor.scheduled)
    made.set_detail(1)
    told = []
    for turn in range(turns):
        rows.clear()
        server.finish(a_turn[turn] if isinstance(a_turn, list) else a_turn)
        made._turn()
        made.stop()
        told.append(sum(rows))
    loop.close()
    return server, told


def test_no_more_is_shown_than_can_be_told_in_time():
    """What is looked into and remembered for nothing costs each request."""
    server, told = watched_under_load(Processor(a_frame=0.02, busy=1.0), a_turn=2000)
    assert MIN_ROWS < told[0] <= (SAVED_OF_A_LOAD + BUSY_SHARE * TICK) / A_ROW + MOST_FIRST
    assert sum(told) < told[0] + len(told) * (MIN_ROWS + MOST_FIRST)
    assert len(server.recent) == 0
    assert told[-1] <= MIN_ROWS + MOST_FIRST
    assert min(told) > 0


def test_a_load_costs_no_more_from_its_first_second_on():
    """Its first turns may be a burst of which all is to be shown: what is saved for that."""
    for turns in (1, 2, 10, 30):
        processor = Processor(a_frame=0.0001, busy=1.0, a_row=50e-6)
        server, told = watched_under_load(processor, a_turn=1000, turns=turns)
        assert processor.told < 2 * SAVED_OF_A_LOAD + 1.1 * BUSY_SHARE * turns * TICK
        assert min(told) > 0
        assert len(server.recent) == 0 or turns == 1  # the rest waits for one turn


def test_of_the_first_turn_of_a_load_few_are_looked_into_and_fewer_told():
    loop = asyncio.new_event_loop()
    processor = Processor(a_frame=0.0001, busy=1.0, a_row=70e-6)
    server = FakeServer()
    made = Sampler(server, processor.sink, loop, thread_cpu=lambda: processor.told,
                   process_cpu=lambda: processor.at, scheduled=processor.scheduled)
    made.set_detail(2)
    server.finish(1_000)
    looked_into = len(server.recent)
    made._turn()
    made.stop()
    loop.close()
    assert A_PAGE <= looked_into <= 250
    assert processor.told <= 0.0001 + 70e-6 * (MOST_FIRST + 50)


@pytest.mark.parametrize("burst", [60, A_PAGE, 150])
def test_all_of_a_burst_is_shown_even_if_its_turn_has_no_time_for_all(burst):
    processor = Processor(a_frame=0.0001, busy=0.1, a_row=60e-6)
    server, told = watched_under_load(processor, a_turn=[0, burst] + 20 * [0], turns=22)
    assert sum(told) == burst and told[1] >= min(burst, A_PAGE)
    taken = server.recent.take()
    assert not taken.exchanges and not taken.left_out


def test_all_is_shown_where_telling_costs_little():
    server, told = watched_under_load(Processor(a_frame=0.0, busy=1.0), a_turn=100)
    assert told == [100] * 40
    assert server.recent.take().left_out == 0


def test_a_server_at_rest_may_tell_more_than_one_at_work():
    at_work, at_rest = (
        sum(watched_under_load(Processor(0.0001, busy, a_row=7e-6), a_turn=200, turns=100)[1])
        for busy in (1.0, 0.1))
    assert at_rest == 200 * 100
    assert at_work < at_rest / 2
