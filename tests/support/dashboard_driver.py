"""Drives the dashboard in a test: keys in, screen out, a pretended supervisor behind it."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import textual.app
import textual.pilot
from textual._compositor import Compositor
from textual._context import visible_screen_stack
from textual.css.stylesheet import Stylesheet
from textual.geometry import Region

from tests.support.feed_player import FeedPlayer, line
from tui import replay
from tui.app import Dashboard

SMALL, LARGE = (80, 24), (160, 48)
MOST_TURNS = 10_000


async def come_to_rest(*seconds):
    """Until the app has nothing left to do but what time or the feed will bring: nothing is
    ready in the event loop, and nothing on the screen waits to be drawn."""
    loop, app, empty = asyncio.get_running_loop(), textual.app.active_app.get(), 0
    for _ in range(MOST_TURNS):
        await asyncio.sleep(0)
        empty = 0 if loop._ready else empty + 1
        if empty == 2:  # after the first one sockets were looked at
            if app.screen_stack:
                app.screen._on_timer_update()
            if not loop._ready:
                return
            empty = 0
    raise AssertionError("the dashboard does not come to rest")


# Textual's own waits for a time in which the process needs hardly any of the processor: sixty
# milliseconds a key, on a busy machine longer.
textual.app.wait_for_idle = textual.pilot.wait_for_idle = come_to_rest
textual.pilot.Pilot._wait_for_screen = come_to_rest

parse_rules, parsed = Stylesheet._parse_rules, {}


def parse_once(self, css, read_from, **how):
    """Rules are parsed once for all dashboards of a process: that is a quarter of their start."""
    key = css, read_from, *sorted(how.items()), *sorted(self._variables.items())
    if key not in parsed:
        parsed[key] = parse_rules(self, css, read_from, **how)
    return parsed[key]


Stylesheet._parse_rules = parse_once

updated = Compositor.render_update


def drawn_for_nobody(self, full=False, screen_stack=None, simplify=False):
    """What has changed is drawn as for a terminal, but not cut into what is written to one, for
    there is none: that takes longer than the drawing. Pictures (`simplify`) are for somebody."""
    if simplify:
        return updated(self, full, screen_stack, simplify)
    visible_screen_stack.set(screen_stack or [])
    regions = {self.size.region} if full else self._dirty_regions.copy()
    self._dirty_regions.clear()
    for _ in self._get_renders(Region.from_union(regions)) if regions else ():
        pass
    return None


Compositor.render_update = drawn_for_nobody


class Driver:
    """The supervisor's end of the feed, and eyes on the screen."""

    def __init__(self, app, pilot, sock, player):
        self.app, self.pilot, self.sock, self.player = app, pilot, sock, player
        self.waiting = b""
        self.log = []

    async def say(self, *messages):
        for message in messages:
            self.sock.sendall(line(message))
        wanted = self.app.session.messages + len(messages)
        await self.until(lambda: self.app.session.messages >= wanted)
        self.app.draw_changes(hurry=True)
        await self.pilot.pause()

    async def until(self, condition, seconds=20.0):
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, "waited in vain"
            await asyncio.sleep(0.005)

    async def press(self, *keys):
        await self.pilot.press(*keys)
        self.app.draw_changes(hurry=True)
        await self.pilot.pause()

    def commands(self):
        """Commands that came since the last call."""
        while True:
            try:
                self.waiting += self.sock.recv(65536)
            except BlockingIOError:
                break
        *whole, self.waiting = self.waiting.split(b"\n")
        return [json.loads(text) for text in whole]

    async def obey(self):
        """Answer what came, as a supervisor would."""
        commands = self.commands()
        for command in commands:
            await self.say(*self.player.answer(command))
        return commands

    def screen(self):
        """The screen's text, as the compositor would write it."""
        lines = self.app.screen._compositor.render_strips()
        return [strip.text for strip in lines][:self.app.size.height]

    def text(self):
        return "\n".join(self.screen())


@asynccontextmanager
async def dashboard(size, toasts=False, **info):
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    player = FeedPlayer(clock=lambda: 1_700_000_000.0)
    app = Dashboard(ours, {"app": "shop:app", "addresses": ["http://127.0.0.1:8000"], **info})
    app.wall_clock = lambda: 1_700_000_000.0
    app.session.pins.slower_ms = float("inf")  # on a busy machine any answer may be slower
    try:
        async with app.run_test(size=size, notifications=toasts) as pilot:
            driver = Driver(app, pilot, theirs, player)
            if "recording" not in info:
                await driver.say(player.hello())
                asked = ["detail", "recent"] if info.get("guest") else ["detail"]
                names = [c["name"] for c in await driver.obey()]
                assert [name for name in names if name != "filter"] == asked
            app.draw_changes(hurry=True)
            await pilot.pause()
            yield driver
    finally:
        ours.close()
        theirs.close()


def drive(size, toasts=False):
    """Run an async test against a dashboard of this size."""
    def wrap(function):
        def test():
            async def main():
                async with dashboard(size, toasts) as driver:
                    await function(driver)
            asyncio.run(main())
        test.__name__, test.__doc__ = function.__name__, function.__doc__
        return test
    return wrap


def rows(player, count, **given):
    return player.frame(4711, [player.row(4711, **given) for _ in range(count)])


@asynccontextmanager
async def server(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
    """A server that gives each request the same answer: its address, and a list that gets
    head and body of each. Bodies are framed by Content-Length."""
    requests = []

    async def client(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(field.split(b":")[1]) for field in head.split(b"\r\n")
                       if field.lower().startswith(b"content-length:")), 0)
        requests.append((head, await reader.readexactly(length)))
        writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(client, "127.0.0.1", 0)
    told, replay.TOLD = replay.TOLD, 0.0  # the feed tells nothing of its requests
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", requests
    finally:
        replay.TOLD = told
        listening.close()
        await listening.wait_closed()
