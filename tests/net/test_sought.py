"""What viewers look for is chosen before others, bounded, and stands for what is like it."""

import functools
import random
import types

import pytest

from tremolo.net.recent import FIRST, FOUND, LATE, LEFT_OUT, MOST_FIRST, SAMPLED, SOUGHT, Recent
from tremolo.net.sought import MOST_TARGETS, Sought

ROOM = 8  # of what is sought


class Exchange:
    """One as it begins, of hundreds of thousands: what all have in common is made once."""

    choice, capture, sought, stands_for = SAMPLED, None, None, 1.0
    throttle_mark = seconds = 0.0
    connection = types.SimpleNamespace(outbox=types.SimpleNamespace(throttle_seconds=0.0))

    def __init__(self, head, status):
        self.head, self.status = head, status


@functools.cache
def head(target):
    return types.SimpleNamespace(target=target, headers=())


def exchange(target=b"/", status=200):
    return Exchange(head(target), status)


def under_load(*sought, begun=10_000):
    """More are expected than there is room for, and one of these targets was shown."""
    recent = Recent()
    recent.seek(sought)
    recent.renew(1, begun, ROOM)
    passed(recent, target=b"/")
    recent.take()
    recent.renew(1, begun, ROOM)
    return recent


def passed(recent, count=1, target=b"/", seconds=0.001, remarkable=False, status=200):
    """So many exchanges, as `Exchange` begins and ends them; how often `Recent` was asked."""
    found, asked = [], 0
    for _ in range(count):
        each = exchange(target, status)
        each.seconds = seconds
        found.append(each)
        if recent.until_next > 1 and (not recent.asks or target in recent.seen):
            recent.until_next -= 1
            each.choice = LEFT_OUT
        else:
            asked += 1
            recent.begin(each)
        if each.choice or seconds >= recent.judged_from or remarkable:
            recent.end(each, seconds, remarkable)
        else:
            recent.plain_out += 1
    return found, asked


def for_target(target, by_target=True):
    return Sought(lambda exchange: exchange.head.target == target, by_target)


def for_status(status):
    return Sought(ends=lambda exchange, seconds: exchange.status == status)


def choices(found):
    return [each.choice for each in found]


def test_what_is_looked_for_is_chosen_before_others():
    recent = under_load(for_target(b"/rare"))
    for _ in range(5):
        passed(recent, 1_000)
        [rare], _ = passed(recent, target=b"/rare")
        assert rare.choice == SOUGHT and rare.sought is not None
    taken = recent.take()
    assert sum(each.head.target == b"/rare" and weight == 1
               for each, weight in taken.exchanges) == 5


def test_of_too_many_that_are_looked_for_each_that_is_chosen_stands_for_others_of_them():
    recent = under_load(for_target(b"/sought"))
    shown = weights = 0
    for _ in range(10):
        for _ in range(200):
            passed(recent, 4)
            passed(recent, target=b"/sought")
        taken = recent.take()
        recent.renew(1, 1_000, ROOM)
        sought = [weight for each, weight in taken.exchanges if each.head.target == b"/sought"]
        assert len(sought) <= ROOM + 1
        shown += len(sought)
        weights += sum(sought)
        assert len(taken.exchanges) + taken.left_out == 1_000
    assert shown > 5 * ROOM and weights == pytest.approx(2_000)


def test_within_a_turn_they_are_chosen_evenly():
    recent = under_load(for_target(b"/sought"))
    for _ in range(2):
        found, _ = passed(recent, 400, b"/sought")
        recent.take()
        recent.renew(1, 400, ROOM)
    shown = [index for index, each in enumerate(found) if each.choice == SOUGHT]
    assert len(shown) >= ROOM - 1 and shown[-1] > 300
    assert max(b - a for a, b in zip(shown, shown[1:])) <= 400 // ROOM


def test_a_target_that_nobody_looks_for_is_asked_about_twice_a_turn_and_as_often_as_sampled():
    recent = under_load(for_target(b"/rare"))
    for target in (b"/", b"/other"):
        found, asked = passed(recent, 5_000, target)
        assert asked <= 2 + choices(found).count(SAMPLED) <= 3


def test_what_more_than_the_target_decides_is_asked_about_each_time():
    recent = under_load(for_target(b"/rare", by_target=False))
    assert passed(recent, 100)[1] == 100


def test_where_nobody_looks_for_anything_nobody_is_asked():
    recent = under_load(for_target(b"/rare"), for_status(404))
    assert passed(recent, 10, status=404)[0][0].choice == FOUND
    recent.seek([])
    passed(recent)
    found, asked = passed(recent, 1_000, status=404)
    assert asked == 0 and not any(choices(found)) and recent.judged_from == float("inf")


def test_ever_new_targets_are_not_kept_for_ever():
    recent = under_load(for_target(b"/rare"))
    for number in range(2 * MOST_TARGETS):
        passed(recent, 2, b"/%d" % number)
    assert len(recent.seen) <= MOST_TARGETS
    assert len(recent) <= MOST_FIRST + 2


def test_while_all_are_shown_those_that_are_looked_for_are_as_others():
    recent = Recent()
    recent.seek([for_target(b"/sought")])
    recent.renew(100, 0, ROOM)
    found, _ = passed(recent, 90, b"/sought")
    assert choices(found) == [SAMPLED] * 90
    assert [weight for _, weight in recent.take().exchanges] == [1.0] * 90


def test_what_is_judged_at_the_end_is_found_there():
    recent = under_load(for_status(404))
    passed(recent, 500)
    [found], _ = passed(recent, status=404)
    assert found.choice == FOUND and (found, 1.0) in recent.take().exchanges


def test_of_too_many_that_are_found_each_that_is_shown_stands_for_others_of_them():
    recent = under_load(for_status(404))
    weights = of_all = 0.0
    for _ in range(10):
        for _ in range(100):
            passed(recent, 9)
            passed(recent, status=404)
        taken = recent.take()
        recent.renew(1, 1_000, ROOM)
        found = [weight for each, weight in taken.exchanges if each.status == 404]
        assert 1 <= len(found) <= ROOM + 2
        weights += sum(found)
        of_all += sum(weight for _, weight in taken.exchanges)
    assert weights == pytest.approx(1_000, abs=3)
    assert of_all + recent.plain_out == pytest.approx(10_000)


def test_nobody_is_asked_at_the_end_about_what_took_less_than_is_looked_for():
    asked = []
    recent = under_load(Sought(ends=lambda each, seconds: not asked.append(seconds), slower=0.05))
    passed(recent, 100, seconds=0.02)
    [slow], _ = passed(recent, seconds=0.06)
    assert asked == [0.06] and slow.choice == FOUND
    recent.slow = 0.01
    assert recent.judged_from == 0.01


def test_what_fails_is_remarkable_rather_than_looked_for():
    recent = under_load(for_target(b"/sought"))
    passed(recent, 100, b"/sought")
    found, _ = passed(recent, 50, b"/sought", remarkable=True)
    assert not {SOUGHT, FOUND} & set(choices(found)) and LATE in choices(found)
    taken = recent.take()
    weights = {True: 0.0, False: 0.0}
    for each, weight in taken.exchanges:
        weights[each in found] += weight
    assert weights[True] == pytest.approx(50) and weights[False] == pytest.approx(100)
    assert recent.plain_out == 0


def test_the_first_for_a_target_is_shown_where_there_is_no_room_for_more_that_is_looked_for():
    recent = under_load(Sought(lambda exchange: exchange.head.target != b"/"))
    passed(recent, 100, b"/flood")
    [own], _ = passed(recent, target=b"/own")
    assert own.choice == FIRST


def test_each_of_several_has_a_room_of_its_own():
    recent = under_load(for_target(b"/flood"), for_target(b"/rare"))
    recent.renew(1, 10_000, ROOM)
    flood, _ = passed(recent, 1_000, b"/flood")
    rare, _ = passed(recent, 2, b"/rare")
    assert choices(flood).count(SOUGHT) == ROOM // 2
    assert SOUGHT in choices(rare)


def test_what_was_looked_for_is_not_lost_when_nobody_looks_for_it_any_more():
    recent = under_load(for_target(b"/sought"))
    passed(recent, 100, b"/sought")
    recent.seek([for_target(b"/other")])
    passed(recent, 99)
    recent.until_next = 1
    passed(recent)
    taken = recent.take()
    assert sum(weight for _, weight in taken.exchanges) == pytest.approx(200)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lasting", [True, False])
def test_what_is_told_of_any_load_stands_for_all_of_it(seed, lasting):
    """Also of each filter's own, of what runs at the same time, and while filters come and go."""
    load, recent = random.Random(seed), Recent()
    filters = [for_target(b"/0"), for_target(b"/1", by_target=False), for_status(404)]
    running, counted, stood_for, told, left_out = [], {}, {}, 0, 0
    begun = 0
    for turn in range(400):
        if not turn % (400 if lasting else 40):
            recent.seek(filters if lasting else load.sample(filters, load.randrange(4)))
        recent.renew(load.choice([1, 5, 60]), begun, load.choice([4, 20]))
        begun = load.choice([5, 80, 500, 1_000])
        for target, status in zip(
                load.choices([b"/0", b"/1", b"/2", b"/2", b"/2", b"/2"], k=begun),
                load.choices([200, 200, 200, 404], k=begun)):
            each = exchange(target, status)
            if recent.until_next > 1 and (not recent.asks or target in recent.seen):
                recent.until_next -= 1
                each.choice = LEFT_OUT
            else:
                recent.begin(each)
            running.append(each)
            if len(running) > 30 or turn == 399:
                each = running.pop(int(load.random() * len(running)))
                remarkable, seconds = load.random() < 0.01, load.random() / 10
                key = each.head.target, each.status, remarkable
                counted[key] = counted.get(key, 0) + 1
                each.key = key
                if each.choice or remarkable or seconds >= recent.judged_from:
                    recent.end(each, seconds, remarkable)
                else:
                    recent.plain_out += 1
        taken = recent.take(load.choice([5, 60]))
        told += len(taken.exchanges)
        left_out += taken.left_out
        assert taken.left_out >= 0
        for each, weight in taken.exchanges:
            assert weight >= 1
            stood_for[each.key] = stood_for.get(each.key, 0.0) + weight
    assert told + left_out == sum(counted.values())
    assert sum(stood_for.values()) == pytest.approx(sum(counted.values()), rel=0.005)
    for target in (b"/0", b"/1", b"/2"):
        told, true = (sum(count for key, count in counts.items() if key[0] == target)
                      for counts in (stood_for, counted))
        assert told == pytest.approx(true, rel=0.05 if lasting else 0.15), target
    if lasting:
        key = b"/2", 404, False
        assert stood_for[key] == pytest.approx(counted[key], rel=0.05)
