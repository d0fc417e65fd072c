"""What the detail shows of a request and its response: header fields and bodies.

All of it came from outside: it is cleaned here, line by line. Secrets are masked until they
are revealed.
"""

import re
from typing import Any, Callable, Dict, List, Optional, Sequence

from tremolo.units import counted

from ..draw import Piece, middle_cut, wrapped, wrapped_pieces
from ..model import bodies, text
from ..model.images import describe
from ..model.messages import Message, is_secret, masked
from ..model.parts import Part, parts_of
from ..model.traffic import Row
from .page import Lines, Page, heading
from .picture import Drawing
from .summaries import ROOMY

FIELDS = 100  # header fields shown
PIECE = 1000  # characters of a long line that are cleaned at a time
ROOM_FOR_16 = 76  # cells that a hex dump of 16 bytes a line takes


class MessageSections:
    """Makes the lines, and keeps them: the detail is drawn often, a body of 16 KiB is not
    read anew each time."""

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing
        self._made: Dict[Any, Lines] = {}

    def headers(self, pane: Page, row: Row, width: int, reveal: bool) -> Lines:
        key = (row.request, row.response, width, reveal, pane.style("text"))
        return self._once(key, lambda: [
            *_headers(pane, "Request", row.request, width, reveal),
            *_headers(pane, "Response", row.response, width, reveal)])

    def body(self, pane: Page, whose: str, message: Optional[Message], width: int,
             reveal: bool, depth: Optional[int] = None) -> Lines:
        key = (whose, message, width, reveal, depth, self._drawing.version, pane.style("text"))
        return self._once(key, lambda: _body(pane, self._drawing, whose, message, width, reveal,
                                             depth))

    def _once(self, key: Any, make: Callable[[], Lines]) -> Lines:
        found = self._made.get(key)
        if found is None:
            if len(self._made) > 16:
                self._made.clear()
            found = self._made[key] = make()
        return found


def _headers(pane: Page, whose: str, message: Optional[Message], width: int, reveal: bool
             ) -> Lines:
    if message is None:
        return []
    secret = any(is_secret(name) and value for name, value in message.headers)
    note = _hint(reveal) if secret else f"{len(message.headers)}"
    lines: Lines = [*heading(pane, f"{whose} headers", note, width)]
    for name, value in message.headers[:FIELDS]:
        lines += _field_lines(pane, name, value, width, reveal)
    if len(message.headers) > FIELDS:
        lines.append([(f" … {len(message.headers) - FIELDS} more", pane.style("dim"))])
    if message.cut and message.body_whole:
        lines.append([(" … and more that is not known here", pane.style("warning"))])
    return lines


def _body(pane: Page, drawing: Drawing, whose: str, message: Optional[Message], width: int,
          reveal: bool, depth: Optional[int]) -> Lines:
    if message is None or message.size == 0:
        return []
    plain, coding = bodies.readable(message)
    note = _body_note(plain, width - len(whose) - 14, reveal)
    if coding and len(note) + len(coding) + 26 < width:
        note += f" · {coding}" if note else coding
    copied = whose == "Response" and bodies.kind_of(message) not in ("", "binary")
    if copied and len(note) + 32 < width:
        note += " · b copies"
    lines: Lines = [*heading(pane, f"{whose} body", note, width)]
    parts = parts_of(plain)
    if parts:
        return lines + _part_lines(pane, drawing, parts, width, reveal)
    if bodies.kind_of(plain) == "binary":
        return lines + _binary_lines(pane, drawing, plain, width)
    return lines + _body_lines(pane, plain, width, reveal, depth)


def _binary_lines(pane: Page, drawing: Drawing, message: Message, width: int) -> Lines:
    """What it is, and the picture that it is, or else its first bytes."""
    first, *dump = bodies.shown(message, False, 16 if width >= ROOM_FOR_16 else 8)[0]
    picture = drawing.of(message.body or b"", not message.body_whole, width)
    words = [text.clean(first, 200), *([picture] if picture and isinstance(picture, str) else [])]
    lines: Lines = [[(" ", None), (part, pane.style("text" if index == 0 else "dim"))]
                    for index, word in enumerate(words) for part in wrapped(word, width - 2)]
    if not isinstance(picture, str):
        roomy = picture and pane.body_height >= ROOMY
        return [*lines, *([[]] if roomy else []), *picture]
    return [*lines, *([(" ", None), (line, pane.style("text"))] for line in dump)]


def _part_lines(pane: Page, drawing: Drawing, parts: Sequence[Part], width: int, reveal: bool
                ) -> Lines:
    """The parts of a form: files by name and size, images drawn, short texts as they are."""
    lines: Lines = []
    for part in parts:
        size = text.size(len(part.body)) + ("" if part.whole else " and more")
        pieces: List[Piece] = [(" ", None), (text.clean(part.name, 80) or "(no name)",
                                             pane.style("link"))]
        picture = describe(part.body)
        about = " · ".join(word for word in (picture or text.clean(part.media, 60), size) if word)
        if part.file is not None:
            pieces += [("  " + text.clean(part.file, 120), pane.style("text")),
                       (f"  {about}", pane.style("dim"))]
            lines.append(pieces)
            drawn = drawing.of(part.body, not part.whole, width)
            lines += drawn if not isinstance(drawn, str) else []
            continue
        value = part.body.decode("utf-8", "replace")
        shown = masked(value) if is_secret(part.name) and not reveal else value
        pieces += [(" = ", pane.style("dim")), (text.clean(shown, 500), pane.style("text"))]
        lines += wrapped_pieces(pieces, width - 1, 3)
    return lines


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
    if bodies.kind_of(message) == "binary":
        return ""  # it is said below
    extent = bodies.extent(message)
    media = text.clean(bodies.content_type(message), 60)
    room -= len(extent) + 3
    if len(media) > room:
        media = media.partition("/")[2]  # json
    if not media or room < min(8, len(media)):
        return extent
    return f"{middle_cut(media, room)} · {extent}"


def _body_lines(pane: Page, message: Message, width: int, reveal: bool, depth: Optional[int]
                ) -> Lines:
    lines: Lines = []
    json = bodies.kind_of(message) == "json"
    shown, more = bodies.shown(message, reveal, 16 if width >= ROOM_FOR_16 else 8,
                               bodies.LINES if depth is None else 100 * bodies.LINES)
    if json and depth is not None:
        shown = bodies.folded(shown, depth)
        more, shown = more + max(0, len(shown) - bodies.LINES), shown[:bodies.LINES]
    for number, line in enumerate(shown):
        room = bodies.LINES - len(lines)
        if room <= 0:  # long lines were wrapped: the bound is on what is drawn as well
            more += len(shown) - number
            break
        lines += [[(" ", None), *(_json_pieces(pane, piece) if json else
                                   [(piece, pane.style("text"))])]
                  for piece in _pieces(line, width - 2, room)]
    if more:
        lines.append([(f" … {counted(more, 'more line')}", pane.style("dim"))])
    if not message.body_whole:
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


_JSON = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b')


def _json_pieces(pane: Page, line: str) -> List[Piece]:
    """A line of JSON: names, strings, numbers and words each in a tone."""
    pieces: List[Piece] = []
    end = 0
    for found in _JSON.finditer(line):
        kind = "link" if found.group(2) else "good" if found.group(1) else (
            "query" if found.group(4) else "stream")
        pieces += [(line[end:found.start()], pane.style("dim")),
                   (found.group(1) or found.group(), pane.style(kind)),
                   (found.group(2) or "", pane.style("dim"))]
        end = found.end()
    pieces.append((line[end:], pane.style("text" if not pieces else "dim")))
    return [piece for piece in pieces if piece[0]]
