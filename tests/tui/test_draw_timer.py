"""How often is drawn: at most ten times a second, less where it is slow, hardly when idle."""

from tui.draw_timer import FASTEST, IDLE, LOST, SLOWEST, DrawTimer


class Handle:
    def __init__(self, when, callback):
        self._when, self.callback, self.cancelled = when, callback, False

    def when(self):
        return self._when

    def cancel(self):
        self.cancelled = True


class Loop:
    def __init__(self):
        self.now, self.handles = 100.0, []

    def time(self):
        return self.now

    def call_at(self, when, callback):
        self.handles.append(Handle(when, callback))
        return self.handles[-1]

    def run(self, seconds):
        end = self.now + seconds
        while True:
            waiting = [h for h in self.handles if not h.cancelled and h.when() <= end]
            if not waiting:
                self.now = end
                return
            first = min(waiting, key=Handle.when)
            self.handles.remove(first)
            self.now = max(self.now, first.when())
            first.callback()


def make(cost=0.0):
    loop, counts = Loop(), {"samples": 0, "draws": 0}

    def sample():
        counts["samples"] += 1

    def draw():
        counts["draws"] += 1
        loop.now += cost
        loop.call_at(loop.now, timer.drawn)
        return True

    timer = DrawTimer(loop, sample, draw)
    return loop, timer, counts


def feed(loop, timer, seconds, step=0.001, **how):
    for _ in range(int(seconds / step)):
        timer.news(**how)
        loop.run(step)


def test_a_storm_of_news_is_drawn_ten_times_a_second():
    loop, timer, counts = make()
    feed(loop, timer, 5.0)
    assert 48 <= counts["draws"] <= 52 and 9 <= counts["samples"] <= 11


def test_what_nobody_could_follow_is_drawn_half_as_often():
    loop, timer, counts = make()
    feed(loop, timer, 5.0, flood=True)
    assert 23 <= counts["draws"] <= 27 and 9 <= counts["samples"] <= 11
    timer.news()
    loop.run(FASTEST)
    assert counts["draws"] <= 28


def test_the_first_news_after_quiet_is_drawn_at_once():
    loop, timer, counts = make()
    timer.tick()
    loop.run(FASTEST + 0.01)
    timer.news()
    loop.run(0.001)
    assert counts["draws"] == 2


def test_without_news_it_ticks_twice_a_second():
    loop, timer, _ = make()
    timer.news()
    loop.run(10)
    assert 10 / IDLE - 1 <= timer.ticks <= 10 / IDLE + 2


def test_slow_draws_halve_the_rate_down_to_a_quarter_and_fast_ones_bring_it_back():
    loop, timer, _ = make(cost=0.06)
    feed(loop, timer, 1.0)
    assert timer.interval == SLOWEST
    quick_loop, quick, _ = make()
    quick.interval = SLOWEST
    feed(quick_loop, quick, 2.0)
    assert quick.interval == FASTEST


def test_nothing_is_drawn_while_a_draw_is_under_way():
    loop, timer, _ = make()
    draws = []
    timer._draw = lambda: draws.append(1) or True
    feed(loop, timer, 1.0)
    assert draws == [1]
    timer.drawn()
    feed(loop, timer, 1.0)
    assert len(draws) == 2


def test_a_draw_that_nobody_reports_done_holds_up_the_next_for_a_while_only():
    loop, draws = Loop(), []
    timer = DrawTimer(loop, lambda: None, lambda: draws.append(loop.now) or True)
    for _ in range(10):
        timer.news()
        loop.run(LOST / 2)
    assert len(draws) >= 3
    assert all(after - before >= LOST for before, after in zip(draws, draws[1:]))


def test_a_key_is_drawn_at_once_and_several_of_one_moment_together():
    loop, timer, counts = make()
    feed(loop, timer, 1.0)
    drawn = counts["draws"]
    loop.run(0.01)
    for _ in range(5):
        timer.key()
    loop.run(0.0)
    assert counts["draws"] == drawn + 1
    feed(loop, timer, FASTEST - 0.01)
    assert counts["draws"] == drawn + 1  # and what is no key waits as it did
