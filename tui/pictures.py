"""Images of bodies as pixels for the screen: made one after the other, each by a process that may
not take long, and kept for a while.

Knows no widget; how pixels become lines is `panes.picture`'s business.
"""

import asyncio
import importlib.util
import os
import subprocess
import sys
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple, Union

SECONDS = 6.0  # that one may take
KEPT = 16  # pictures, whatever came of them
WAITING = 4  # the newest that were asked for; others are asked for again when they are drawn
SMALLEST = 16  # pixels; a box is never smaller

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "thumbnail.py")
_START = ("import sys\n"
          "if sys.path[:1] == ['']: del sys.path[0]\n"  # nothing of the folder that we are in
          "import runpy; runpy.run_path({path!r}, run_name='__main__')")


class Picture(NamedTuple):
    """Pixels row by row, four bytes each: red, green, blue, alpha."""

    width: int
    height: int
    pixels: bytes


class Wanted(NamedTuple):
    """An image by its digest and format (as Pillow names it), in a box of so many pixels."""

    digest: str
    kind: str
    width: int
    height: int
    cut: bool


Found = Union[Picture, str]  # or why there is none


def installed() -> bool:
    """Whether there is what decodes images."""
    return importlib.util.find_spec("PIL") is not None


class Pictures:
    """`done()` is called whenever one more is known, or is known to be none."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._known: Dict[Wanted, Found] = {}
        self._waiting: Dict[Wanted, bytes] = {}
        self._task: Optional[asyncio.Task[None]] = None
        self.revision = 0

    def of(self, wanted: Wanted, body: bytes) -> Optional[Found]:
        """What is known of it; None: it is being made. Needs a running loop."""
        found = self._known.get(wanted)
        if found is None:
            self._waiting.pop(wanted, None)
            self._waiting[wanted] = body
            for oldest in list(self._waiting)[:-WAITING]:
                del self._waiting[oldest]
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._make())
        return found

    async def _make(self) -> None:
        while self._waiting:
            wanted, body = self._waiting.popitem()  # what is looked at now
            self._known[wanted] = await _made(wanted, body)
            for oldest in list(self._known)[:-KEPT]:
                del self._known[oldest]
            self.revision += 1
            self._done()


async def _made(wanted: Wanted, body: bytes) -> Found:
    command = [sys.executable, "-c", _START.format(path=_PROGRAM), wanted.kind,
               *(str(max(SMALLEST, side)) for side in (wanted.width, wanted.height)),
               "cut" if wanted.cut else "whole"]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError as exc:
        return f"no process for it: {exc.strerror}"
    try:
        output, _ = await asyncio.wait_for(process.communicate(body), SECONDS)
    except asyncio.TimeoutError:
        return "it takes too long"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _read(output)


def _read(output: bytes) -> Found:
    """What the process said; not more trusted than the image."""
    head, _, pixels = output.partition(b"\n")
    words: List[bytes] = head.split()
    if words[:1] == [b"no"]:
        return b" ".join(words[1:]).decode("ascii", "replace")
    try:
        size: Tuple[int, ...] = tuple(map(int, words))
        width, height = size
    except ValueError:
        return "its decoder failed"
    if not pixels or len(pixels) != width * height * 4:
        return "its decoder failed"
    return Picture(width, height, pixels)
