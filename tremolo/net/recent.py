"""Which exchanges viewers are shown: all while there are few, a sample when there are many.

Whether one is looked into is decided at its beginning, whether it is shown at its end. Beyond the
sample is shown what is remarkable: what failed, was slow or is a stream, what viewers look for,
and the first request for each target, so that one made by hand is found under load. All of it is
bounded, and what is left out is counted. Knows no clock: whoever takes what ended says how much
of it, and how much may come until the next time.
"""

from collections import Counter
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from .capture import Capture
from .sought import MOST_TARGETS, Sought

#: how an exchange came to be shown, or did not: what is `LATE` turned out to be remarkable, and
#: what is `FOUND` to be looked for, when nobody had looked into it
LEFT_OUT, SAMPLED, FIRST, REMARKABLE, LATE, SOUGHT, FOUND = range(7)
#: exchanges that are kept of a burst, and for somebody who does not come
RECENT = 500
#: that are shown beyond the sample, until the next time: first ones, and other remarkable ones
MOST_FIRST = 10
MOST_REMARKABLE = 20
#: captures that only first ones may have while there is a sample
RESERVED = 5
#: of requests, until one is chosen: there is no room (an integer of one digit: counting those of
#: more takes longer)
NEVER = 1 << 29
#: where more come than there is room for, the stride becomes so many times as wide, and again for
#: each such part of the room that is chosen then: how many will have come is not known before
WIDER, STEP = 4, 0.1
#: steps of this share of a whole fill it evenly, however many there are
GOLDEN = 0.6180339887498949


class Taken(NamedTuple):
    """Exchanges that ended, each with how many it stands for, itself included; how many were left
    out since the last time; and of those the ones that were looked into."""

    exchanges: List[Tuple[Any, float]]
    left_out: int
    given_up: List[Any]


class Recent(List[Any]):
    """Exchanges that ended, in that order, for viewers; an exchange calls `begin` and `end`."""

    # Each request asks for some of these, and of a kind of list Python 3.11 looks up what has no
    # slot as if for the first time, which takes five times as long.
    __slots__ = ("_begun_for", "_counted", "_ended_for", "_firsts", "_phase", "_place",
                 "_remarkable_left", "_remarkable_out", "_room", "_shown", "_slow", "_slow_left",
                 "_sought", "_step", "_stride", "_until_wider", "asks", "captures_left",
                 "first_left", "judged_from", "plain_out", "seen", "until_next")

    def __init__(self) -> None:
        super().__init__()
        #: of how many of those that begin heads and bodies are captured; whoever takes renews it
        self.captures_left = 0
        #: seconds from which an exchange is slow, and from which `end` has to be asked
        self._slow = self.judged_from = float("inf")
        #: how many may be chosen for the sample; how many begin for each that is chosen, and how
        #: many are chosen before it is one of more, and then again
        self._room = self._until_wider = RECENT
        self._step = int(RECENT * STEP)
        self._stride = 1
        self.until_next = 1
        self._phase, self._place = 0.0, 0
        self.first_left, self._remarkable_left = MOST_FIRST, MOST_REMARKABLE
        self._slow_left = MOST_REMARKABLE
        #: targets of first ones, and those that were shown at the last time
        self._firsts: Set[bytes] = set()
        self._shown: Set[bytes] = set()
        #: whether `begin` has to be asked before it is one's turn, but for these targets
        self.asks = True
        self.seen = self._firsts
        #: what viewers look for: all, those that are judged as exchanges begin, and as they end
        self._sought: Sequence[Sought] = ()
        self._begun_for: Sequence[Sought] = ()
        self._ended_for: Sequence[Sought] = ()
        #: how many ended and are not here, for which nothing that was taken stands yet
        self.plain_out = self._remarkable_out = 0
        #: that were counted already
        self._counted = 0

    @property
    def slow(self) -> float:
        """Seconds from which an exchange is slow."""
        return self._slow

    @slow.setter
    def slow(self, seconds: float) -> None:
        self._slow = seconds
        self.judged_from = min([seconds, *(each.slower for each in self._ended_for)])

    def seek(self, sought: Sequence[Sought]) -> None:
        """Choose what is `sought` before others, from now on, as long as not all are shown."""
        for each in self._sought:
            self.plain_out += each.out  # what is shown of all others stands for these now
            each.out = 0
        self._sought = sought
        self._begun_for = [each for each in sought if each.begins is not None]
        self._ended_for = [each for each in sought if each.ends is not None]
        self.slow = self._slow
        self._ask()

    def _ask(self) -> None:
        """Have `begin` asked about no more than it has to be."""
        self.seen, self.asks = self._firsts, self.first_left > 0
        if self._begun_for:
            self.seen, self.asks = set(), True

    def renew(self, room: int, begun: int, sought: int = MOST_REMARKABLE) -> None:
        """So many may be chosen until the next time, and as many exchanges as have `begun` since
        the last time are expected: of those that come beyond that, ever fewer are chosen. As many
        of what viewers look for as are `sought` may be chosen beside them."""
        self._room = max(0, min(room, RECENT - len(self)))
        self._stride = max(1, begun // max(1, self._room))
        self._until_wider = self._room
        self._step = max(1, int(self._room * STEP))
        self.until_next = min(self.until_next, self._stride)
        self._place = 0
        self.first_left, self._remarkable_left = MOST_FIRST, MOST_REMARKABLE
        # Where all takes long because there is too much to do, showing it is not to add to that.
        self._slow_left = min(MOST_REMARKABLE, max(1, self._room // 4))
        self._firsts = self._shown
        self._shown = set()
        for each in self._sought:
            each.renew(max(1, sought // len(self._sought)))
        self._ask()

    def begin(self, exchange: Any) -> Optional[Capture]:
        """Choose whether `exchange` is looked into. Its capture, if it is to have one."""
        self.until_next -= 1
        if self.until_next <= 0 and (not self._room or len(self) >= RECENT):
            self.until_next = NEVER
        sought = self._looked_for(exchange) if self._begun_for else None
        if sought is not None:
            self.until_next += 1  # it is none of those that the sample is of
        if sought is not None and sought.choose():
            exchange.choice, exchange.sought = SOUGHT, sought
        elif sought is None and self.until_next <= 0:
            self._sample(exchange)
        elif self.first_left and exchange.head.target not in self._firsts:
            self._firsts.add(exchange.head.target)
            self.first_left -= 1
            self.asks = self.first_left > 0 or bool(self._begun_for)
            exchange.choice = FIRST
        else:
            exchange.choice = LEFT_OUT
            if sought is not None:
                exchange.sought = sought
                sought.out += 1
                self.plain_out -= 1  # where it will be counted in the end
            return None
        if self.captures_left <= (0 if self._stride == 1 or exchange.choice != SAMPLED
                                  else RESERVED):
            return None
        self.captures_left -= 1
        capture = exchange.capture = Capture(exchange.head.headers)
        return capture

    def _sample(self, exchange: Any) -> None:
        """It is one of the sample: when the next one is."""
        if self._stride > 1:
            exchange.stands_for = self._stride
        self._until_wider -= 1
        if not self._until_wider:
            self._stride *= WIDER
            self._until_wider = self._step
            self._place = self._stride - 1
        # One of each `_stride`, but not always at the same place of it: requests that come in
        # turns shall all have their share.
        self._phase = (self._phase + GOLDEN) % 1.0
        place = int(self._phase * self._stride)
        self.until_next = self._stride - self._place + place
        self._place = place

    def _looked_for(self, exchange: Any) -> Optional[Sought]:
        """By which of the viewers it is looked for as it begins, as far as not all are shown."""
        if self._stride == 1 and self.until_next <= 0:
            return None
        by_target = True
        for each in self._begun_for:
            if each.begins(exchange):  # type: ignore[misc]
                return each
            by_target = by_target and each.by_target
        if by_target and len(self.seen) < MOST_TARGETS and (
                not self.first_left or exchange.head.target in self._firsts):
            self.seen.add(exchange.head.target)
        return None

    def end(self, exchange: Any, seconds: float, remarkable: bool) -> None:
        """Keep `exchange`, which took so many `seconds`, or count it. `remarkable` are those that
        failed or last as long as somebody listens."""
        choice = exchange.choice
        if not remarkable and seconds >= self._slow and self._slow_left:
            self._slow_left -= 1
            remarkable = True
        if not remarkable:
            if self._ended_for and exchange.sought is None:
                self._find(exchange, seconds)
            if not exchange.choice:
                if exchange.sought is None or exchange.sought.begins is not None:
                    self.plain_out += 1
                return
        elif not choice:
            # The next one for its target is looked into from its beginning.
            self._firsts.discard(exchange.head.target)
            self.seen.discard(exchange.head.target)
            self._forget_sought(exchange)
            if not self._remarkable_left:
                self._remarkable_out += 1
                return
            self._remarkable_left -= 1
            exchange.choice = LATE
        elif choice != LATE:
            exchange.choice, exchange.sought = REMARKABLE, None
        exchange.throttled = exchange.connection.outbox.throttle_seconds - exchange.throttle_mark
        self.append(exchange)

    def _find(self, exchange: Any, seconds: float) -> None:
        """Whether it is looked for, now that it has ended."""
        choice = exchange.choice
        if choice != LEFT_OUT and (choice != SAMPLED or exchange.stands_for == 1):
            return
        for each in self._ended_for:
            if seconds >= each.slower and each.ends(exchange, seconds):  # type: ignore[misc]
                exchange.sought = each
                if choice:
                    exchange.choice = SOUGHT
                elif each.choose():
                    exchange.choice = FOUND
                else:
                    each.out += 1
                return

    def _forget_sought(self, exchange: Any) -> None:
        """It was counted among those that are looked for, and is something else."""
        if exchange.sought is not None and exchange.sought in self._sought:
            exchange.sought.out -= 1
            self.plain_out += 1
        exchange.sought = None

    def take(self, most: int = RECENT, wait: bool = False) -> Taken:
        """What ended since the last time, and of the sample `most`, as of what is remarkable:
        the others `wait` for the next time, or are given up, evenly."""
        others = self._beyond(most, wait)
        waiting: List[Any] = []
        if others:
            marked = set(map(id, others))
            waiting = [exchange for exchange in self if wait and id(exchange) in marked]
            self[:] = [exchange for exchange in self if id(exchange) not in marked]
        left_out = self._out - self._counted
        taken = self._weighed(bool(waiting))
        self._counted = self._out
        self._shown = {exchange.head.target for exchange in self
                       if exchange.choice not in (LATE, FOUND)}
        self[:] = waiting
        return Taken(taken, left_out, [] if wait else others)

    @property
    def _out(self) -> int:
        """How many ended and are not here, for which nothing that was taken stands yet."""
        return self.plain_out + self._remarkable_out + sum([each.out for each in self._sought])

    def _beyond(self, most: int, wait: bool) -> List[Any]:
        """Those for which there is no room at this time."""
        others: List[Any] = []
        for choice, room in ((SAMPLED, most), (REMARKABLE, max(most, MOST_REMARKABLE))):
            found = [exchange for exchange in self if exchange.choice == choice]
            surplus = len(found) - room
            if surplus <= 0:
                continue
            if wait:
                others += found[room:]
                continue
            each = len(found) / surplus
            self._phase = (self._phase + GOLDEN) % 1.0  # neither the first nor the last of each
            others += [found[int((index + self._phase) * each)] for index in range(surplus)]
            if choice == SAMPLED:
                self.plain_out += surplus
                for exchange in found:
                    exchange.stands_for *= len(found) / max(1, room)
            else:
                self._remarkable_out += surplus
        return others

    def _weighed(self, waiting: bool) -> List[Tuple[Any, float]]:
        """All that are here, with how many each stands for; others may be `waiting`."""
        choices = [exchange.choice for exchange in self]
        remarkable, each, more = 1.0, 0.0, 0.0
        count = choices.count(REMARKABLE) + choices.count(LATE)
        if count:
            remarkable = (count + self._remarkable_out) / count
            self._remarkable_out = 0
        count = choices.count(SAMPLED)
        if count:
            # Those that were chosen while all were stand for no others.
            beyond = sum([exchange.stands_for for exchange, choice in zip(self, choices)
                          if choice == SAMPLED]) - count
            told = max(0, self.plain_out)
            if waiting:  # they stand for some of those that are not here
                told = min(told, round(beyond))
            if beyond:
                each = told / beyond
            else:
                more = told / count
            self.plain_out -= told
        weights: Dict[Any, float] = {FIRST: 1.0, REMARKABLE: remarkable, LATE: remarkable}
        if SOUGHT in choices or FOUND in choices:
            counts = Counter([exchange.sought for exchange in self])
            weights.update({sought: sought.weigh(count) for sought, count in counts.items()
                            if sought is not None})
        return [(exchange, weights.get(exchange.sought or choice)
                 or 1.0 + more + (exchange.stands_for - 1) * each)
                for exchange, choice in zip(self, choices)]
