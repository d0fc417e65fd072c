"""Making text from outside safe to show: every control character becomes visible.

Knows which code points a terminal or a reader could be fooled by (C0, DEL, C1, bidirectional
controls, zero-width characters, line separators, lone surrogates; CWE-150). What it returns
has none of them, so it may go to a terminal, a log or JSON as it is.
"""

from __future__ import annotations

import re
import time
from functools import cache

TYPE_CHECKING = False  # a supervisor at rest is without typing
if TYPE_CHECKING:
    from typing import Pattern, Union

MAX_TEXT = 256  # characters of a string that came from a request

_HIDDEN = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)


@cache
def _hidden(but: str = "") -> Pattern[str]:
    """What has to be shown, `but` for this. Compiled when it is first needed: mostly never."""
    return re.compile(f"{but}[{_HIDDEN}]")


def _show(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # the block of control pictures
    if code == 0x7F:
        return "\u2421"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def clean(text: Union[str, bytes], limit: int = MAX_TEXT) -> str:
    """`text` on one line, at most `limit` characters long, with nothing hidden in it.

    Bytes are read as UTF-8; what is not UTF-8 is shown as `\\x..` escapes.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4 + 4].decode("utf-8", "backslashreplace")
    if len(text) > limit:
        text = text[: limit - 1] + "\u2026"
    if text.isascii() and text.isprintable():
        return text
    text = _hidden().sub(_show, text)
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def clean_lines(text: Union[str, bytes], limit: int = 32 * 1024) -> str:
    """As `clean`, but keeps line feeds and tabs; a long text loses its middle.

    The end of a traceback shows what happened, its beginning where from: both are kept.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if len(text) > limit:
        half = limit // 2
        left_out = f"\n  \u2026 {len(text) - 2 * half} characters left out \u2026\n"
        text = text[:half] + left_out + text[-half:]
    return _hidden("(?![\n\t])").sub(_show, text.replace("\r\n", "\n"))


def text_of_exception(exc: BaseException) -> str:
    """What an exception says, as it is; its own class may fail to say it."""
    try:
        return str(exc)
    except Exception as second:
        return f"(its text cannot be shown: {type(second).__name__})"


def clock(t: float) -> str:
    """The local time of day at the moment `t` (seconds since the epoch), to the millisecond."""
    return f"{time.strftime('%H:%M:%S', time.localtime(t))}.{int(t * 1000) % 1000:03d}"
