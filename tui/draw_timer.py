"""When to draw: soon after news, ten times a second at most, less often where drawing is slow or
where nobody could follow; at once after a key.

Knows a loop's clock and two callbacks; what is drawn, and how, is not its business.
"""

import asyncio
from typing import Callable, Optional

FASTEST = 0.1  # seconds between draws
FLOODED = 0.2  # where more comes at a time than fits on the screen
SLOWEST = 0.4
SLOW_DRAW = 0.05  # a draw that takes longer halves the rate
IDLE = 0.5  # without news: for what depends on time alone
LOST = 1.0  # after which nobody will say any more that a draw is done: its screen was closed


class DrawTimer:
    """`sample()` is called about twice a second, `draw()` when something may have changed.

    `draw` says whether it started to draw; `drawn()` must be called when that is done.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sample: Callable[[], None],
                 draw: Callable[[], bool]) -> None:
        self._loop = loop
        self._sample = sample
        self._draw = draw
        self._handle: Optional[asyncio.TimerHandle] = None
        self._ticked = self._sampled = -1e9
        self._drawing_since: Optional[float] = None
        self.interval = FASTEST
        self.ticks = 0

    def news(self, flood: bool = False) -> None:
        """Something has changed: draw, but not sooner than `interval` after the last time. In a
        `flood` all lines would be others each time, so half as often is as good to read."""
        interval = max(self.interval, FLOODED) if flood else self.interval
        self._at(max(self._loop.time(), self._ticked + interval))

    def key(self) -> None:
        """A key has changed what is to be seen: draw at once. Keys of one read are one draw."""
        self._at(self._loop.time())

    def _at(self, due: float) -> None:
        if self._handle is not None:
            if self._handle.when() <= due + 0.001:
                return
            self._handle.cancel()
        self._handle = self._loop.call_at(due, self.tick)

    def tick(self) -> None:
        self._handle = None
        self._ticked = now = self._loop.time()
        self.ticks += 1
        if now - self._sampled >= IDLE * 0.9:
            self._sampled = now
            self._sample()
        if self._drawing_since is not None and now - self._drawing_since >= LOST:
            self._drawing_since = None
        if self._drawing_since is None and self._draw():
            self._drawing_since = now
        self._at(now + IDLE)

    def drawn(self) -> None:
        """The draw that began has reached the terminal's writer."""
        if self._drawing_since is None:
            return
        took = self._loop.time() - self._drawing_since
        self._drawing_since = None
        if took > SLOW_DRAW:
            self.interval = min(SLOWEST, self.interval * 2)
        elif took < SLOW_DRAW / 2:
            self.interval = max(FASTEST, self.interval / 2)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
