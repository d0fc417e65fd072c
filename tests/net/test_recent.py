"""Which exchanges viewers are shown: all of few, a sample of many, and what is remarkable."""

import contextlib
import functools
import random
import types

import pytest

from tests.support.serving import run, serving, until
from tremolo.net.recent import (
    FIRST,
    LATE,
    MOST_FIRST,
    MOST_REMARKABLE,
    RECENT,
    REMARKABLE,
    RESERVED,
    SAMPLED,
    WIDER,
    Recent,
)


class Exchange:
    """One as it begins, of hundreds of thousands: what all have in common is made once."""

    choice, capture, sought, stands_for, throttle_mark = SAMPLED, None, None, 1.0, 0.5
    connection = types.SimpleNamespace(outbox=types.SimpleNamespace(throttle_seconds=2.0))

    def __init__(self, head):
        self.head = head


@functools.cache
def head(target):
    return types.SimpleNamespace(target=target, headers=())


def exchange(target=b"/"):
    return Exchange(head(target))


def ended(recent, count=1, target=b"/", seconds=0.001, remarkable=False):
    """So many exchanges, which began and ended one after the other."""
    found = [exchange(target) for _ in range(count)]
    for each in found:
        recent.begin(each)
        recent.end(each, seconds, remarkable)
    return found


def busy(more=10, begun=10_000):
    """Its room is used up, and many more are expected than it has room for."""
    recent = Recent()
    ended(recent, RECENT)
    recent.take()
    recent.renew(more, begun)
    ended(recent, 1)  # the first of its target
    return recent


def test_all_are_kept_while_there_are_few():
    recent = Recent()
    for turn in range(30):
        shown = ended(recent, 100, target=b"/%d" % turn)
        assert [each for each, weight in recent.take().exchanges if weight == 1] == shown
        recent.renew(100, 100)


def test_what_each_request_asks_for_has_a_slot():
    assert not hasattr(Recent(), "__dict__")


def test_a_pause_makes_room_for_a_burst():
    recent = busy()
    recent.take()
    recent.renew(RECENT, 0)
    ended(recent, RECENT)
    assert recent.take().left_out == 0


def test_of_a_burst_whose_end_nobody_knows_all_of_a_page_are_chosen_and_ever_fewer_beyond():
    recent = Recent()
    recent.renew(100, 0)
    shown = [index for index, each in enumerate(ended(recent, 3_000))
             if each.choice == SAMPLED]
    assert shown[:100] == list(range(100)) and shown[-1] > 500
    assert len(shown) < 150
    gaps = [b - a for a, b in zip(shown[99:], shown[100:])]
    assert sum(gaps[:10]) <= 11 * WIDER < sum(gaps[10:20])
    weights = [weight for each, weight in recent.take().exchanges if each.choice == SAMPLED]
    assert weights[:100] == [1.0] * 100 and min(weights[100:]) > 1
    assert sum(weights) == pytest.approx(3_000 - 1)  # the first for its target is none of them


@pytest.mark.parametrize("seed", range(5))
def test_what_is_told_of_any_load_stands_for_all_of_it(seed):
    """Also where it changes within a turn: the sums that are estimated are those that were."""
    load, recent = random.Random(seed), Recent()
    count, milliseconds = 0, 0.0
    told, stood_for, estimated, left_out = 0, 0.0, 0.0, 0
    begun, targets = 0, (b"/0", b"/1", b"/2")
    for turn in range(300):
        recent.renew(load.choice([5, 60, 300]), begun)
        begun = load.choice([0, 3, 80, 500, 2_000])
        for index in range(begun):
            each = exchange(targets[int(3 * load.random())])
            each.milliseconds = 1 + turn % 7 + 5 * index / begun
            recent.begin(each)
            recent.end(each, 0.001, False)
            count += 1
            milliseconds += each.milliseconds
        taken = recent.take(load.choice([5, 60]), wait=load.random() < 0.3)
        told += len(taken.exchanges)
        left_out += taken.left_out
        stood_for += sum(weight for _, weight in taken.exchanges)
        estimated += sum(each.milliseconds * weight for each, weight in taken.exchanges)
        assert all(weight >= 1 for _, weight in taken.exchanges)
    assert told + left_out + len(recent) == count
    assert stood_for + recent.plain_out + len(recent) == pytest.approx(count)
    assert estimated == pytest.approx(milliseconds, rel=0.1)


def test_of_many_as_many_are_kept_as_there_is_room_for_spread_evenly():
    recent = busy(more=50, begun=5_000)
    recent.take()
    shown = [index for index, each in enumerate(ended(recent, 5_000)) if each.choice]
    assert 40 <= len(shown) <= 50
    assert max(b - a for a, b in zip(shown, shown[1:])) <= 200
    assert shown[-1] > 4_000


@pytest.mark.parametrize("period", [2, 3, 5, 10, 32])
def test_requests_that_come_in_turns_all_have_their_share(period):
    recent = busy(more=500, begun=16_000)
    recent.take()
    counts = [0] * period
    for index in range(16_000):
        [each] = ended(recent, target=b"/")
        counts[index % period] += each.choice == SAMPLED
    assert min(counts) > sum(counts) / period / 3, counts


def test_those_that_are_left_out_are_stood_for_and_counted():
    recent = busy()
    recent.take()
    shown, left_out, weights = 0, 0, 0.0
    for _ in range(20):
        recent.renew(10, 1_000)
        ended(recent, 1_000)
        taken = recent.take()
        shown += len(taken.exchanges)
        left_out += taken.left_out
        weights += sum(weight for _, weight in taken.exchanges)
        assert len(taken.exchanges) + taken.left_out == 1_000
    assert 150 <= shown <= 250
    assert weights == pytest.approx(20_000) and left_out == 20_000 - shown


def test_where_nothing_is_kept_that_could_stand_for_them_they_are_counted_all_the_same():
    recent = busy(more=1)
    ended(recent, 20_000)
    recent.take()
    recent.renew(0, 20_000)
    ended(recent, 10)
    taken = recent.take()
    assert taken.left_out == 10 and not taken.exchanges
    assert recent.take().left_out == 0
    recent.renew(5, 1)
    ended(recent, 1)
    taken = recent.take()
    assert taken.left_out == 0 and taken.exchanges[0][1] == 11


@pytest.mark.parametrize("kind", [{"remarkable": True}, {"seconds": 0.2}], ids=["", "slow"])
def test_what_is_remarkable_is_kept_beyond_the_sample(kind):
    recent = busy()
    recent.slow = 0.1
    recent.take()
    ended(recent, 1_000)
    [each] = ended(recent, **kind)
    assert each.choice in (LATE, REMARKABLE)
    assert (each, 1.0) in recent.take().exchanges


STREAM = [(b"content-type", b"text/event-stream")]


async def answered(exchange):
    exchange.response.respond(204, [])


async def failed(exchange):
    exchange.response.respond(503, [])


async def raised(exchange):
    raise ValueError("no")


async def streamed(exchange):
    exchange.response.start(200, STREAM)
    exchange.response.write(b"data: 1\n\n")
    exchange.response.finish()


async def given_up(exchange):
    exchange.response.start(200, [])
    exchange.response.write(b"a part")
    raise ValueError("no")


@pytest.mark.parametrize("handle, kept", [
    (answered, False), (failed, True), (raised, True), (streamed, True), (given_up, True)])
def test_what_failed_was_given_up_or_is_a_stream_is_remarkable(handle, kept):
    async def main():
        async with serving(handle) as site:
            site.server.on_error = lambda exchange, exc: None
            site.server.remember(True)
            site.server.recent.renew(0, 10_000)
            for _ in range(2):  # the first for its target, and one more
                site.server.recent.take()
                with contextlib.suppress(ConnectionResetError):  # what was given up
                    await site.ask(b"GET / HTTP/1.0\r\n\r\n")
                await until(lambda: not site.server.connections)
                site.server.recent.first_left = 0
            await until(lambda: not site.server.tasks)
            taken = site.server.recent.take()
            assert (len(taken.exchanges), taken.left_out) == (kept, not kept)

    run(main)


def test_what_is_kept_knows_how_long_it_was_throttled():
    recent = Recent()
    [each] = ended(recent)
    assert each.throttled == 1.5


def test_after_a_failure_the_next_for_its_target_is_looked_into_from_its_beginning():
    recent = busy()
    ended(recent, 1_000)
    [failed] = ended(recent, remarkable=True)
    assert failed.choice == LATE
    after = exchange()
    recent.begin(after)
    assert after.choice == FIRST


def test_what_there_is_no_time_for_waits_and_is_told_in_the_order_in_which_it_ended():
    recent = Recent()
    all_of_them = ended(recent, 100)
    told = []
    for count in (40, 40, 20, 0):
        taken = recent.take(40, wait=True)
        assert len(taken.exchanges) == count and taken.left_out == 0 and not taken.given_up
        assert all(weight == 1 for _, weight in taken.exchanges)
        told += [each for each, _ in taken.exchanges]
    assert told == all_of_them


def test_what_waits_takes_the_room_of_what_begins():
    recent = Recent()
    ended(recent, RECENT)
    recent.take(100, wait=True)
    recent.renew(RECENT, 0)
    assert sum(each.choice == SAMPLED for each in ended(recent, RECENT)) == 100


def test_what_nobody_waits_for_is_given_up_evenly_and_stood_for():
    recent = Recent()
    all_of_them = ended(recent, 300)
    taken = recent.take(20)
    kept = [all_of_them.index(each) for each, _ in taken.exchanges]
    assert len(kept) == 20 and len(taken.given_up) == taken.left_out == 280
    assert max(b - a for a, b in zip(kept, kept[1:])) <= 16
    assert sum(weight for _, weight in taken.exchanges) == pytest.approx(300)
    assert recent.take() == ([], 0, [])


@pytest.mark.parametrize("wait", [True, False])
def test_what_is_remarkable_goes_before_the_sample_and_is_bounded(wait):
    recent = Recent()
    ended(recent, 100)
    failed = ended(recent, 2 * MOST_REMARKABLE, remarkable=True)
    taken = recent.take(5, wait)
    told = [each for each, _ in taken.exchanges if each in failed]
    assert len(told) == MOST_REMARKABLE and len(taken.exchanges) == MOST_REMARKABLE + 5
    assert wait is (taken.left_out == 0)


def test_where_all_are_slow_few_are_remarkable_for_that():
    recent = busy(more=12)
    recent.slow = 0.1
    recent.take()
    recent.renew(12, 2_000)
    found = ended(recent, 2_000, seconds=0.2)
    assert sum(each.choice in (LATE, REMARKABLE) for each in found) == 3
    assert 10 <= len(recent.take().exchanges) <= 12 + 3 + 1


def test_a_flood_of_failures_is_sampled_too():
    recent = busy()
    recent.take()
    ended(recent, 5_000, remarkable=True)
    taken = recent.take()
    kept = len(taken.exchanges)
    assert kept <= 2 * MOST_REMARKABLE + MOST_FIRST + 10 and taken.left_out == 5_000 - kept
    assert sum(weight for _, weight in taken.exchanges) == pytest.approx(5_000)


def test_the_first_for_each_target_is_found_in_a_flood_for_another():
    recent = busy()
    ended(recent, 1_000)
    [own] = ended(recent, target=b"/login")
    ended(recent, 1_000)
    assert own.choice == FIRST and (own, 1.0) in recent.take().exchanges


def test_what_was_shown_at_the_last_time_is_no_first_one():
    recent = busy()
    for target, kept in ((b"/", 0), (b"/login", 1), (b"/login", 0), (b"/login", 1)):
        recent.take()
        recent.renew(0, 10_000)
        assert sum(each.choice == FIRST for each in ended(recent, 3, target)) == kept, target


def test_a_flood_for_ever_new_targets_does_not_pass_as_first_ones():
    recent = busy()
    recent.take()
    for number in range(5_000):
        ended(recent, target=b"/%d" % number)
    assert len(recent) <= 10 + MOST_FIRST
    [failed] = ended(recent, remarkable=True, target=b"/failed")
    assert failed.choice == LATE  # there is still room for what fails


def test_captures_are_of_those_that_are_shown_and_some_are_kept_for_first_ones():
    recent = busy(more=20, begun=2_000)
    recent.captures_left = RESERVED + 2
    found = ended(recent, 2_000)
    captured = [each for each in found if each.capture is not None]
    assert len(captured) == 2 and all(each.choice for each in captured)
    [own] = ended(recent, target=b"/login")
    assert own.capture is not None


def test_what_began_before_anybody_looked_is_kept():
    recent = busy()
    each = exchange()
    recent.end(each, 0.001, False)
    assert each in recent


def test_nobody_who_comes_does_not_make_it_grow_for_ever():
    recent = Recent()
    ended(recent, 20_000)
    assert len(recent) <= RECENT + MOST_FIRST
