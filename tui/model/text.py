"""Text that came from outside, made safe to show, and numbers made short to read.

Knows nothing of widgets. After `clean` a string holds only printable characters, each of
which stays where it is put: no control characters (C0, DEL, C1), no bidirectional overrides,
nothing of zero width but a few combining marks (CWE-150).
"""

import re
import time
from functools import lru_cache
from typing import Iterator, List, Optional, Tuple

MAX_TEXT = 256
MAX_LINE = 2000

# Printable by Unicode's account, yet invisible or of a width that terminals disagree on.
_INVISIBLE = re.compile("[\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\ufe00-\ufe0f]")
_COMBINING_RUN = re.compile("([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{2})"
                            "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]+")


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if char.isprintable():
        return char
    if code in (0xA0, 0x2007, 0x202F, 0x3000) or 0x2000 <= code <= 0x200A or code == 0x205F:
        return " "
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(value: object, limit: int = MAX_TEXT) -> str:
    """`value` as one line of printable characters, cut to `limit`."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    if not text.isprintable():
        text = "".join(map(_visible, text))
    text = _INVISIBLE.sub("\u00b7", text)
    return _COMBINING_RUN.sub(r"\1", text)


_ESCAPED_UTF8 = re.compile("(?:%[89A-Fa-f][0-9A-Fa-f])+")


def decoded(path: str) -> str:
    """A clean path with its percent-encoded letters beyond ASCII as they are read; what is
    ASCII, or no printable UTF-8, stays encoded: it might mean something else in a path."""
    return _ESCAPED_UTF8.sub(_letters, path) if "%" in path else path


def _letters(found: "re.Match[str]") -> str:
    try:
        text = bytes.fromhex(found.group().replace("%", "")).decode("utf-8")
    except UnicodeDecodeError:
        return found.group()
    return text if text.isprintable() and clean(text) == text else found.group()


def clean_lines(value: object, limit: int = 500, tab: int = 4) -> List[str]:
    """The lines of `value`, cleaned, tabs expanded; past `limit` the middle is left out."""
    lines = str(value or "").expandtabs(tab).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if len(lines) > limit:
        half = limit // 2
        left_out = len(lines) - 2 * half
        lines = lines[:half] + [f"... {left_out} lines left out ..."] + lines[-half:]
    return [clean(line.rstrip("\r"), MAX_LINE) for line in lines]


@lru_cache(maxsize=4096)
def clean_known(value: str, limit: int = MAX_TEXT) -> str:
    """As `clean`, for words that come again and again: methods, routes, states."""
    return clean(value, limit)


_SGR = re.compile("[\x1b\u241b]\\[([0-9;:]{0,40})m")  # the picture of ESC: cleaned before
_OTHER_ESCAPES = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\\\)|\x1b[@-_]")


def colour_runs(text: str) -> Iterator[Tuple[str, str]]:
    """Split a program's output at its colour codes: pairs of SGR parameters and clean text.

    Only colours survive; whatever else a terminal would obey (titles, links, cursor moves)
    is dropped, and stray control characters become visible.
    """
    if "\x1b" not in text and "\u241b" not in text:
        yield "", clean(text, MAX_LINE)
        return
    state = ""
    pieces = _SGR.split(text[:MAX_LINE * 2])
    for index, piece in enumerate(pieces):
        if index % 2:
            state = "" if piece in ("", "0") else f"{state};{piece}".strip(";")[-80:]
        elif piece:
            yield state, clean(_OTHER_ESCAPES.sub("", piece), MAX_LINE)


def size(count: float) -> str:
    """Bytes in at most six cells: "311 b", "1.2 k", "48.0 M"."""
    if count < 1000:
        return f"{int(count)} b"
    for unit in "kMGTP":
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}" if count < 99.95 else f"{count:.0f} {unit}"
    return f"{count:.0f} E"


def rate(per_second: float) -> str:
    """Bytes per second: "1.1 M/s"; nothing moving is a dash."""
    if per_second < 0.5:
        return "–"
    return size(per_second) + "/s"


def number(value: float) -> str:
    """A count in few cells: "812", "12.4k", "3.1M"; below 10 with a decimal if it has one."""
    if value < 9.95 and value != int(value):
        return f"{value:.1f}"
    if value < 9999.5:
        return f"{value:.0f}"
    for unit in "kMG":
        value /= 1000
        if value < 999.5:
            return f"{value:.1f}{unit}" if value < 99.95 else f"{value:.0f}{unit}"
    return f"{value:.0f}T"


def millis(ms: Optional[float]) -> str:
    """A duration in milliseconds, at most seven cells: "0.7", "112.7", "12.4s", "2m05s"."""
    if ms is None:
        return "–"
    if ms < 9999.5:
        return f"{ms:.1f}" if ms < 999.95 else f"{ms:.0f}"
    if ms < 99_950:
        return f"{ms / 1000:.1f}s"
    return age(ms / 1000)


def duration(ms: Optional[float]) -> str:
    """As `millis`, with the unit: "3.1 ms", "12.4s", "2m05s"."""
    return _with_unit(millis(ms), ms)


def percentile(ms: Optional[float], unit: bool = False) -> str:
    """As `millis` or `duration`, but of the two digits that are known of it: "0.7", "110"."""
    words = f"{ms:.0f}" if ms is not None and 9.95 <= ms < 9999.5 else millis(ms)
    return _with_unit(words, ms) if unit else words


def _with_unit(words: str, ms: Optional[float]) -> str:
    return f"{words} ms" if ms is not None and ms < 9999.5 else words


def age(seconds: float) -> str:
    """How long, roughly: "3s", "2m05s", "1h12m", "3d04h"."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


_clock_cache: Tuple[int, str] = (-1, "")


def clock(t: float, fraction: bool = False) -> str:
    """Wall-clock time of day in the local zone."""
    global _clock_cache  # strftime is the dearest part of a traffic line; seconds repeat
    whole = int(t)
    if _clock_cache[0] != whole:
        _clock_cache = (whole, time.strftime("%H:%M:%S", time.localtime(whole)))
    return f"{_clock_cache[1]}.{int((t - whole) * 1000):03d}" if fraction else _clock_cache[1]
