"""Lines of an exact width out of styled pieces of text.

Everything becomes segments, never markup: text from requests cannot mean anything here.
"""

from functools import lru_cache
from typing import List, NamedTuple, Optional, Sequence, Tuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

BARS = "▁▂▃▄▅▆▇█"

Piece = Tuple[str, Optional[Style]]


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` cells, cut with an ellipsis or filled with spaces."""
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length == width:
        return text
    if length < width:
        return text + " " * (width - length)
    return set_cell_size(text, width - 1) + "…"


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` cells, cut with an ellipsis."""
    return fit(text, width) if cell_len(text) > width else text


def right(text: str, width: int) -> str:
    """`text` flush right in exactly `width` cells."""
    length = len(text) if text.isascii() else cell_len(text)
    return " " * (width - length) + text if length < width else fit(text, width)


def middle_cut(text: str, width: int) -> str:
    """`text` in at most `width` cells; the middle goes, both ends stay (paths)."""
    if cell_len(text) <= width:
        return text
    if width < 5:
        return fit(text, max(width, 0))
    head = (width - 1) // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head):]


def strip_of(pieces: Sequence[Piece], width: int, base: Optional[Style],
             end: Optional[Segment] = None) -> Strip:
    """One line; cut or filled to `width`, on `base`; `end` is one cell more."""
    segments = []
    room = width
    for text, style in pieces:
        if not text:
            continue
        length = len(text) if text.isascii() else cell_len(text)
        if length > room:
            text, length = set_cell_size(text, room), room
        if base is not None:
            style = base if style is None else base + style
        segments.append(Segment(text, style))
        room -= length
        if not room:
            break
    if room > 0:
        segments.append(Segment(" " * room, base))
    if end is not None:
        segments.append(end)
        width += 1
    return Strip(segments, width)  # its length is known here: Textual need not measure it


def spread(left: Sequence[Piece], end: Sequence[Piece], width: int) -> List[Piece]:
    """`left` flush left and `end` flush right; what is short of room is `left`."""
    room = width - sum(cell_len(text) for text, _ in end)
    result: List[Piece] = []
    for text, style in left:
        length = cell_len(text)
        if length > room:
            rule = text.startswith("──")
            result.append((text[:room] if rule else fit(text, max(0, room)), style))
            room = 0
            break
        result.append((text, style))
        room -= length
    if room > 0:
        result.append((" " * room, None))
    return result + list(end)


def wrapped(line: str, width: int, most: int = 60) -> List[str]:
    """`line` in pieces of at most `width` cells, cut at spaces where that loses little; what
    would be more than `most` pieces ends with an ellipsis."""
    pieces: List[str] = []
    while len(line) > width or cell_len(line) > width:
        if len(pieces) >= most or width < 1:
            return [*pieces, "…"]
        cut = width
        while cell_len(line[:cut]) > width:
            cut -= 1
        space = line.rfind(" ", cut * 2 // 3, cut)
        cut = space + 1 if space > 0 else max(1, cut)
        pieces.append(line[:cut].rstrip())
        line = line[cut:]
    return [*pieces, line]


def wrapped_pieces(pieces: Sequence[Piece], width: int, indent: int = 0) -> List[List[Piece]]:
    """Styled pieces in lines of at most `width` cells, cut at spaces where that loses no more
    than a third of a line; all but the first begin with `indent` blank cells."""
    lines: List[List[Piece]] = [[]]
    room = width = max(2, width)  # else nothing would ever fit
    begun = False  # there is something in the newest line
    for text, style in pieces:
        while text:
            if cell_len(text) <= room:
                lines[-1].append((text, style))
                room -= cell_len(text)
                begun = True
                break
            cut = min(len(text), room)
            while cell_len(text[:cut]) > room:
                cut -= 1
            short = begun and room <= width // 3
            space = text.rfind(" ", 0 if short else cut * 2 // 3, cut + short)
            if space > 0 or (short and space == 0):
                cut = space + 1
            elif short and lines[-1][-1][0].endswith(" "):
                cut = 0
            if cut:
                lines[-1].append((text[:cut], style))
                text = text[cut:]
            lines.append([(" " * indent, None)] if indent else [])
            room, begun = max(2, width - indent), False
    return lines


def found_in(pieces: Sequence[Piece], words: Sequence[str], style: Style) -> List[Piece]:
    """The pieces, with `style` on each place where one of `words` (in lower case) stands."""
    result: List[Piece] = []
    for text, before in pieces:
        lower, start = text.lower(), 0
        if len(lower) != len(text):  # a letter whose lower case is longer
            result.append((text, before))
            continue
        while True:
            places = [(place, word) for word in words
                      if word and (place := lower.find(word, start)) >= 0]
            if not places:
                break
            place, word = min(places)
            marked = style if before is None else before + style
            result += [(text[start:place], before), (text[place:place + len(word)], marked)]
            start = place + len(word)
        result.append((text[start:], before))
    return [piece for piece in result if piece[0]]


class Column(NamedTuple):
    """Of a table: its head, its cells, and when it goes where not all fit: the highest first."""

    head: str
    cells: int
    rank: int


@lru_cache(maxsize=64)
def fitting(columns: Tuple[Column, ...], room: int) -> Tuple[Column, ...]:
    """Those that fit into `room` cells; what does not is left out, and not cut."""
    shown = list(columns)
    while shown and sum(column.cells for column in shown) > room:
        shown.remove(max(shown, key=lambda column: column.rank))
    return tuple(shown)


def sparkline(values: Sequence[float], width: int, top: float = 0.0) -> str:
    """The last `width` values as bars; nothing at all is a dot on the base line."""
    recent = list(values)[-width:]
    highest = max(max(recent, default=0.0), top)
    bars = []
    for value in recent:
        if value <= 0 or highest <= 0:
            bars.append("▁" if highest > 0 else "·")
        else:
            bars.append(BARS[min(7, int(value / highest * 7.999))])
    return "·" * (width - len(bars)) + "".join(bars)


def histogram(counts: Sequence[int]) -> str:
    """One bar a bin, empty bins blank."""
    highest = max(counts, default=0)
    return "".join(
        " " if not count else BARS[min(7, int(count / highest * 7.999))] for count in counts)
