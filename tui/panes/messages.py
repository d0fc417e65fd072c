"""What the detail shows of a request and its response: header fields and bodies.

All of it came from outside: it is cleaned here, line by line. Secrets are masked until they
are revealed.
"""

from typing import Any, List, Optional, Tuple

from ..draw import middle_cut, wrapped
from ..model import bodies, text
from ..model.export import curl
from ..model.messages import Message, is_secret, masked
from ..model.traffic import Row
from .page import Lines, Page, heading

FIELDS = 100  # header fields shown
COMMAND_LINES = 20  # of a curl command: the body is shown above it
PIECE = 1000  # characters of a long line that are cleaned at a time
ROOM_FOR_16 = 76  # cells that a hex dump of 16 bytes a line takes


class MessageSections:
    """Makes the lines, and keeps them: the detail is drawn often, a body of 16 KiB is not
    read anew each time."""

    def __init__(self) -> None:
        self._made_for: Tuple[Any, ...] = ()
        self._lines: Lines = []
        self._command_for: Tuple[Any, ...] = ()
        self._command: Lines = []

    def lines(self, pane: Page, row: Row, width: int, reveal: bool) -> Lines:
        wanted = (row.request, row.response, width, reveal, pane.style("text"))
        if wanted != self._made_for:
            self._lines = [*_sections(pane, "Request", row.request, width, reveal),
                           *_sections(pane, "Response", row.response, width, reveal)]
            self._made_for = wanted
        return self._lines

    def command(self, pane: Page, row: Row, width: int, reveal: bool) -> Lines:
        addresses = pane.session.addresses
        wanted = (row, row.request, width, reveal, pane.style("text"), tuple(addresses))
        if wanted != self._command_for:
            lines = [part for line in text.clean_lines(curl(row, addresses, mask=not reveal))
                     for part in wrapped(line, width - 2, COMMAND_LINES)]
            if len(lines) > COMMAND_LINES:
                lines[COMMAND_LINES:] = ["…"]
            self._command = [[(" ", None), (part, pane.style("text"))] for part in lines]
            self._command_for = wanted
        return self._command


def _sections(pane: Page, whose: str, message: Optional[Message], width: int,
              reveal: bool) -> Lines:
    if message is None:
        return []
    secret = any(is_secret(name) and value for name, value in message.headers)
    note = _hint(reveal) if secret else f"{len(message.headers)}"
    lines: Lines = [[], *heading(pane, f"{whose} headers", note, width)]
    for name, value in message.headers[:FIELDS]:
        lines += _field_lines(pane, name, value, width, reveal)
    if len(message.headers) > FIELDS:
        lines.append([(f" … {len(message.headers) - FIELDS} more", pane.style("dim"))])
    if message.cut and message.body_whole:
        lines.append([(" … and more that is not known here", pane.style("warning"))])
    if message.size == 0:
        return lines
    note = _body_note(message, width - len(whose) - 14, reveal)
    if whose == "Response" and len(note) + 32 < width:
        note += " · b copies"
    lines += [[], *heading(pane, f"{whose} body", note, width)]
    return lines + _body_lines(pane, message, width, reveal)


def _hint(reveal: bool) -> str:
    return "v masks secrets" if reveal else "v shows secrets"


def _field_lines(pane: Page, name: str, value: str, width: int, reveal: bool) -> Lines:
    hidden = is_secret(name) and value and not reveal
    shown = masked(value) if hidden else text.clean(value, text.MAX_LINE)
    name = text.clean(name, 80)
    pieces = wrapped(f"{name}: {shown}", width - 4)
    first, style = pieces[0], pane.style("dim" if hidden else "text")
    known = min(len(first), len(name) + 1)
    return [[(" ", None), (first[:known], pane.style("second")), (first[known:], style)],
            *([("   ", None), (piece, style)] for piece in pieces[1:])]


def _body_note(message: Message, room: int, reveal: bool) -> str:
    if bodies.has_secrets(message):
        return _hint(reveal)
    extent = bodies.extent(message)
    media = text.clean(bodies.content_type(message), 60)
    room -= len(extent) + 3
    if not media or room < 8 or bodies.kind_of(message) == "binary":
        return extent
    return f"{middle_cut(media, room)} · {extent}"


def _body_lines(pane: Page, message: Message, width: int, reveal: bool) -> Lines:
    lines: Lines = []
    shown, more = bodies.shown(message, reveal, 16 if width >= ROOM_FOR_16 else 8)
    for number, line in enumerate(shown):
        room = bodies.LINES - len(lines)
        if room <= 0:  # long lines were wrapped: the bound is on what is drawn as well
            more += len(shown) - number
            break
        lines += [[(" ", None), (piece, pane.style("text"))]
                  for piece in _pieces(line, width - 2, room)]
    if more:
        words = f" … {more:,} more line{'' if more == 1 else 's'}"
        lines.append([(words, pane.style("dim"))])
    if not message.body_whole and bodies.kind_of(message) != "binary":
        lines.append([(f" {bodies.extent(message)}", pane.style("warning"))])
    return lines


def _pieces(line: str, width: int, most: int) -> List[str]:
    """A line of any length, cleaned and wrapped, in at most `most` pieces and an ellipsis."""
    line = line.rstrip("\r").expandtabs(4)
    pieces: List[str] = []
    for start in range(0, max(1, len(line)), PIECE):
        pieces += wrapped(text.clean(line[start:start + PIECE], 10 * PIECE), width, most)
        if len(pieces) > most:
            return [*pieces[:most], "…"]
    return pieces
