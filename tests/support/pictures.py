"""The dashboard playing the recorded session: states to look at, as text or as a picture.

    python -m tests.support.pictures FOLDER    writes an SVG of each state and size
    python -m tests.support.pictures --readme  writes the picture that opens README.md

With NO_COLOR in the environment they have no colours.
Clock, pids and ports are the session's own, so a state looks the same each time.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import json
import math
import os
import pathlib
import struct
import time
import zlib

from tests.support import feed_player
from tests.support.dashboard_driver import Driver
from tests.support.feed_player import FeedPlayer

HERE = pathlib.Path(__file__).parent
SESSION = HERE.parent / "tui" / "recorded" / "shop.jsonl"
README = HERE.parents[1] / "docs" / "dashboard.svg"
SIZES = [(160, 48), (120, 36), (80, 24)]
#: tones of the theme by one letter each; what is not here has a tone of the application's own
LETTERS = {"foreground": ".", "muted": "-", "faint": ",", "accent": "b", "key": "k",
           "primary": "l", "query": "q", "secondary": "s", "success": "g", "moved": "m",
           "refused": "r", "warning": "w", "error": "e", "background": "#"}


def messages():
    with SESSION.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@contextlib.asynccontextmanager
async def playing(size, theme="tremolo"):
    """A dashboard of `size` and a driver of it, before the first message of the session."""
    import socket

    from tui.app import Dashboard

    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    app = Dashboard(ours, {"app": "shop:app"})
    app.theme = theme
    now = [messages()[0]["t"]]
    app.session.clock = app.wall_clock = lambda: now[0]
    app.session.commands._clock = app.session.clock
    try:
        async with app.run_test(size=size) as pilot:
            app.draw_timer.stop()
            driver = Driver(app, pilot, theirs, FeedPlayer(clock=app.wall_clock))
            driver.now, driver.played = now, 0
            await driver.obey()
            yield driver
    finally:
        ours.close()
        theirs.close()


async def play(driver, until=lambda message: False):
    """Take in the session from where it is up to the message that `until` knows, which is taken
    in as well."""
    session = driver.app.session
    for message in messages()[driver.played:]:
        driver.played += 1
        driver.now[0] = max(driver.now[0], message.get("t", 0.0))
        session.apply(message)
        session.tick()
        if until(message):
            break
    await shown(driver)


async def shown(driver):
    await driver.pilot.pause()
    driver.app.draw_changes(hurry=True)
    await driver.pilot.pause()


def broken(message):
    """The code that does not start has failed, and its worker is gone."""
    return message["kind"] == "worker" and message["gen"] == 3 and message["state"] == "exited"


async def select(driver, wanted):
    """Open the newest request that `wanted` knows."""
    traffic = driver.app.traffic
    for index in range(traffic.count() - 1, -1, -1):
        if wanted(traffic.entry(index)):
            traffic.select_index(index)
            break
    traffic.focus()
    await driver.press("enter")


async def states(driver):
    """The states in turn: yields the name of each when it is on the screen."""
    await shown(driver)
    yield "empty"
    await play(driver, lambda m: m["kind"] == "reload" and m["gen"] == 2)
    yield "traffic"
    await play(driver, broken)
    yield "failed"
    await select(driver, lambda row: getattr(row, "status", 0) == 500)
    yield "exception"
    await select(driver, lambda row: getattr(row, "shown_path", "").startswith("/api/items/7"))
    yield "body"
    await select(driver, lambda row: getattr(row, "shown_path", "") == "/ws/chat")
    yield "messages"
    await driver.press("escape", "escape", "slash", *"s:5xx ms>x")
    yield "filter"
    await driver.press("escape", "5")
    yield "errors"
    await driver.press("4", "slash", *"checkout", "enter")
    yield "log"
    await driver.press("7", "right", "right", "right")
    await driver.obey()
    await shown(driver)
    yield "throttle"
    if importlib.util.find_spec("PIL") is None:
        return  # nothing would decode it
    await driver.press("escape", "1", "G")
    logo_row = driver.player.row(driver.player.pids[0], method="GET", path="/static/logo.png",
                                 status=200, route="/static/{path}", bytes_out=len(wave()),
                                 response=feed_player.message(
                                     [("Content-Type", "image/png")], wave()))
    driver.app.session.apply(driver.player.frame(driver.player.pids[0], [logo_row], totals=None))
    await select(driver, lambda row: getattr(row, "shown_path", "") == "/static/logo.png")
    await decoded(driver)
    yield "image"


async def decoded(driver):
    """Until the image in the detail is drawn, or known to be none."""
    task = driver.app.detail.contents.drawing._pictures._task
    if task is not None:
        await task
    await shown(driver)


def png(width, height, rows, claimed=None):
    """Of rows of RGBA; `claimed` is the size that its head tells."""
    def chunk(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", *(claimed or (width, height)), 8, 6, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data)
            + chunk(b"IEND", b""))


def wave(width=48, height=20):
    """A tone whose loudness trembles, from blue to violet on nothing."""
    rows = [bytearray(4 * width) for _ in range(height)]
    for x in range(width):
        loud = (height // 2 - 1) * (0.55 - 0.45 * math.cos(x * 2 * math.pi / (width / 2)))
        at = round(height / 2 - 0.5 + loud * math.sin(x * 2 * math.pi / 6))
        for y in range(min(at, height // 2), max(at, height // 2) + 1):
            rows[y][4 * x:4 * x + 4] = bytes((60 + 2 * x, 190 - x - 4 * y, 240, 255))
    return png(width, height, [bytes(row) for row in rows])


def grid(driver):
    """The screen as text, and below it the tone of each cell as a letter."""
    variables = driver.app.get_css_variables()
    names = {}
    for name, letter in LETTERS.items():
        names.setdefault(str(variables.get(name, "")).lower(), letter)
    text, tones = [], []
    height = driver.app.size.height
    for strip in driver.app.screen._compositor.render_strips()[:height]:
        text.append(strip.text.rstrip())
        line = ""
        for segment in strip:
            colour = segment.style.color if segment.style else None
            hex6 = colour.get_truecolor().hex.lower() if colour is not None else ""
            letter = names.get(hex6, "?")
            if segment.style and segment.style.bold:
                letter = letter.upper()
            line += "".join(letter if char != " " else " " for char in segment.text)
        tones.append(line.rstrip())
    return "\n".join(text) + "\n" + "=" * 20 + "\n" + "\n".join(tones) + "\n"


async def write(folder, sizes, themes):
    folder.mkdir(parents=True, exist_ok=True)
    for theme in themes:
        for size in sizes:
            async with playing(size, theme) as driver:
                async for name in states(driver):
                    path = folder / f"{name}-{size[0]}x{size[1]}-{theme}.svg"
                    path.write_text(driver.app.export_screenshot(), encoding="utf-8")


async def write_readme():
    async with playing((132, 38)) as driver:
        await play(driver, broken)
        await select(driver, lambda row: getattr(row, "status", 0) == 500)
        await shown(driver)
        README.parent.mkdir(exist_ok=True)
        README.write_text(driver.app.export_screenshot(title="tremolo dev shop:app"),
                          encoding="utf-8")


def size_of(word):
    width, by, height = word.partition("x")
    if not (by and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{word!r} is no size such as 80x24")
    return int(width), int(height)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.support.pictures", allow_abbrev=False,
                                     description="Pictures of the recorded session, as SVG.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", nargs="?", type=pathlib.Path, help="where to write all states")
    what.add_argument("--readme", action="store_true", help="write the one that opens README.md")
    parser.add_argument("--size", action="append", type=size_of, metavar="WIDTHxHEIGHT",
                        help="only this one; can be repeated")
    given = parser.parse_args(argv)
    os.environ.update(TZ="UTC", COLORTERM="truecolor")  # which pictures have
    time.tzset()
    if given.readme:
        os.environ.pop("NO_COLOR", None)
        asyncio.run(write_readme())
    else:
        asyncio.run(write(given.folder, given.size or SIZES, ("tremolo", "tremolo-light")))


if __name__ == "__main__":
    main()
