"""The first frame: drawn at once, while Textual, which will draw over it, is still imported.

Escape sequences and nothing else: the name of the application, and the empty frame that the
dashboard begins with, at the same places and in the same colours, so that nothing jumps. Keys
that are typed meanwhile are not echoed, and wait for the dashboard.
"""

import contextlib
import os
import shutil
import signal
import sys
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from .colours import DARK, LIGHT, faint_share, muted_share, preferred
from .model.text import clean
from .modes import LOWER, STRIPS, WIDE_TABS, active_of, alone_of, mode_for, tab_labels
from .saved_state import load
from .terminal import Terminal

ENTER = "\x1b[?1049h"  # the alternate screen: what was there before comes back in the end
LEFT = 3 / 5  # of the overview's width: the panes at the left


class Run(NamedTuple):
    """A piece of a row: `tone` names its colour, `ground` what lies under it."""

    text: str
    tone: str = "foreground"
    bold: bool = False
    ground: str = ""


class FirstFrame:
    """After `show()` has drawn it, it must be handed over to whoever draws next, or closed.

    From `show()` on the terminal is given back at the end of the process, however it ends.
    `info` is that of `run`. `shown`: it is on the screen, and nobody else has that.
    """

    def __init__(self, info: Mapping[str, Any], environ: Optional[Mapping[str, str]] = None
                 ) -> None:
        self.environ = os.environ if environ is None else environ
        self.app = clean(info.get("app") or "…", 60)
        #: what is said of the server, unless it runs already, or there is none
        self.words = "" if info.get("guest") or info.get("recording") else "starting …"
        saved = load(str(info["folder"])) if info.get("folder") else {}
        layout = saved.get("layout")
        self.layout: Dict[str, Any] = layout if isinstance(layout, dict) else {}
        wanted = self.environ.get("TEXTUAL_THEME") or saved.get("theme") or preferred(
            self.environ)
        self._paint = Paint(wanted, self.environ)
        self.terminal = Terminal()
        self.shown = False
        self._out = -1

    # -- its life

    def show(self) -> None:
        """Draw it, unless there is no terminal to draw on. Raises nothing."""
        output = next((file for file in (sys.__stderr__, sys.__stdout__)
                       if file is not None and file.isatty()), None)  # as the driver chooses
        self.terminal.arm()
        if output is None or not self.terminal.quiet():
            self.terminal.disarm()
            return
        self._out = output.fileno()
        self.shown = True
        with contextlib.suppress(ValueError):  # not the main thread: others have the signals
            if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
                signal.signal(signal.SIGINT, self._interrupted)
            signal.signal(signal.SIGWINCH, lambda number, frame: self._draw())
        self._write(ENTER + "\x1b[?25l\x1b[?7l")
        self._draw()

    def hand_over(self) -> None:
        """Leave the screen and the terminal's modes to who draws next; `terminal` knows what
        they were before."""
        self.shown = False
        if signal.getsignal(signal.SIGINT) == self._interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGWINCH, signal.SIG_DFL)

    def close(self) -> None:
        """Give everything back, unless it was handed over; never raises."""
        if self.shown:
            self.hand_over()
            self.terminal.restore()

    def _interrupted(self, number: int, frame: Any) -> None:
        """At once, whatever becomes of the exception within an import."""
        self.close()
        raise KeyboardInterrupt

    # -- drawing

    def _draw(self) -> None:
        width, height = shutil.get_terminal_size()
        code = self._paint.code
        # Each row is cleared before it is written: after it, its last cell would be lost where it
        # fills the screen, since the cursor stays upon that.
        rows = [code(row[-1] if row else Run("")) + "\x1b[K"
                + "".join(f"{code(run)}{run.text}" for run in row)
                for row in self.rows(width, height)]
        self._write("".join(f"\x1b[{number}H{row}" for number, row in enumerate(rows, 1))
                    + "\x1b[0m")

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        with contextlib.suppress(OSError):  # the terminal is gone: others will notice
            while data:
                data = data[os.write(self._out, data):]

    def rows(self, width: int, height: int) -> List[List[Run]]:
        """What stands in each row; not wider than the screen."""
        mode = mode_for(width, height)
        head = [Run(" TREMOLO ", "accent", True, "surface"),
                Run(f" {self.app}", bold=True, ground="surface")]
        if mode == "tiny":  # where the dashboard has no such row
            head.append(Run(f"  {self.words}", "muted", ground="surface"))
            return [_fitted(head, width), *([] for _ in range(height - 1))]
        if self.words:
            head += [Run("  ●", "muted", ground="surface"),
                     Run(f" 0 workers  {self.words}", ground="surface")]
        keys = [Run("?", "key", ground="surface"), Run(" keys ", "muted", ground="surface"),
                Run("q", "key", ground="surface"), Run(" quit ", "muted", ground="surface")]
        room = width - sum(len(run.text) for run in keys)
        body = self._body(mode, width, height - 5)
        return [_fitted(head, width), [Run("", ground="surface")], self._tabs(width), *body, [],
                [Run(" " * room, ground="surface"), *keys]]

    def _tabs(self, width: int) -> List[Run]:
        active, row = active_of(self.layout), []
        for number, label in tab_labels(width):
            if number == active:
                row.append(Run(f" {number} {label} ", "background", True, "foreground"))
            else:
                row += [Run(f" {number} ", "muted"), Run(f"{label} ", "muted")]
            row.append(Run(" " if width >= WIDE_TABS else ""))
        return row

    def _body(self, mode: str, width: int, height: int) -> List[List[Run]]:
        """The rules between the panes, where there are several."""
        if mode != "overview" or alone_of(self.layout, mode):
            return [[] for _ in range(height)]
        edge = int(width * LEFT) - 1
        rule = [Run("─" * edge + "┬" + "─" * (width - edge - 1), "faint")]
        between = [Run(" " * edge), Run("│", "faint")]
        upper = height - LOWER - len(STRIPS)
        strip = [Run("─" * width, "faint")]
        return [rule, *[between] * (upper - 1), rule, *[between] * (LOWER - 1),
                *[strip] * len(STRIPS)]


def _fitted(row: List[Run], width: int) -> List[Run]:
    found = []
    for run in row:
        text = run.text[:width]
        if len(text) < len(run.text) and text:
            text = text[:-1] + "…"
        found.append(run._replace(text=text))
        width -= len(text)
    return found


# -- colours

class Paint:
    """Colours as codes of a terminal, as many as it has; none for NO_COLOR, nor for a theme that
    is known to Textual alone."""

    def __init__(self, theme: str, environ: Mapping[str, str]) -> None:
        values = next((each for each in (DARK, LIGHT) if each["name"] == theme), None)
        self._tones: Dict[str, str] = {}
        self._exact = environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit")
        many = environ.get("TERM", "").lower().rpartition("-")[2] in ("256color", "kitty")
        if values is None or "NO_COLOR" in environ or not (self._exact or many):
            return
        front, back, light = values["foreground"], values["background"], not values["dark"]
        self._tones = {"foreground": front, "background": back, "surface": values["surface"],
                       "accent": values["accent"], "key": values["variables"]["key"],
                       "muted": _blend(back, front, muted_share(light)),
                       "faint": _blend(back, front, faint_share(light))}

    def code(self, run: Run) -> str:
        codes = ["0"] + ["1"] * run.bold
        if self._tones:
            codes += [self._colour(38, self._tones[run.tone]),
                      self._colour(48, self._tones[run.ground or "background"])]
        elif run.ground == "foreground":
            codes.append("7")
        return f"\x1b[{';'.join(codes)}m"

    def _colour(self, kind: int, value: str) -> str:
        red, green, blue = _rgb(value)
        if self._exact:
            return f"{kind};2;{red};{green};{blue}"
        return f"{kind};5;{nearest(red, green, blue)}"


def nearest(red: int, green: int, blue: int) -> int:
    """The colour of the 256 that Textual's own reduction takes for this one."""
    most, least = max(red, green, blue), min(red, green, blue)
    whole = (most + least) / 255
    saturation = 0.0 if most == least else (most - least) / 255 / (
        whole if whole <= 1 else 2 - whole)
    if saturation < 0.15:
        grey = round(whole / 2 * 25)
        return 16 if grey == 0 else 231 if grey == 25 else 231 + grey
    steps = [value / 95 if value < 95 else 1 + (value - 95) / 40 for value in (red, green, blue)]
    return 16 + 36 * round(steps[0]) + 6 * round(steps[1]) + round(steps[2])


def _rgb(value: str) -> List[int]:
    return [int(value[start:start + 2], 16) for start in (1, 3, 5)]


def _blend(back: str, front: str, share: float) -> str:
    mixed = (int(below + (above - below) * share)
             for below, above in zip(_rgb(back), _rgb(front)))
    return "#" + "".join(f"{value:02x}" for value in mixed)
