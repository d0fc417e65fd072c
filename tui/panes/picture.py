"""An image as lines: two pixels a cell, one above the other, in the colours that they have.

What is transparent is the ground of the screen; where hardly anything would be seen on that, the
picture lies on the foreground's colour.
"""

import hashlib
from typing import List, Optional, Tuple, Union

from rich.color import Color
from rich.style import Style

from ..draw import Piece
from ..model.images import format_of
from ..pictures import Picture, Pictures, Wanted, installed
from .lines import LinePane
from .page import Lines, Styled

Colour = Tuple[int, int, int]

FEWEST = 12  # lines that a picture may have, however low the pane is

CLEAR = 16  # of 255: less opaque is nothing
SEEN = 40  # of 255: the mean distance from the ground from which on a picture is seen


class Drawing:
    """Images for one pane, where its terminal has colours for them."""

    def __init__(self, pane: LinePane) -> None:
        self._pane = pane
        self._pictures = Pictures(lambda: pane.host.news())

    @property
    def version(self) -> Tuple[int, int]:
        """Equal as long as the same is drawn in the same width."""
        return self._pictures.revision, self._lines

    @property
    def _lines(self) -> int:
        return max(FEWEST, self._pane.body_height - 3)  # below what is said of it

    def of(self, body: bytes, cut: bool, width: int) -> Union[Lines, str]:
        """The lines of the image that `body` is, in at most `width` cells; none while it is being
        made. Words where there are none, "" if there is nothing to be said either."""
        kind = format_of(body)
        if not kind or not self._pane.host.many_colours:
            return ""
        if not installed():
            return "pip install 'tremolo[images]' draws it"
        found = self._pictures.of(Wanted(hashlib.sha256(body).hexdigest(), kind.upper(),
                                         width - 2, 2 * self._lines, cut), body)
        if found is None:
            return []
        return f"not drawn: {found}" if isinstance(found, str) else picture_lines(
            self._pane, found)


def picture_lines(pane: Styled, picture: Picture) -> Lines:
    """The picture, a line for two rows of its pixels."""
    ground, other = (_value(pane.style("tab"), front) for front in (True, False))
    base: Optional[Colour] = None  # that lies under all of it; None: what is there
    if _distance(picture, ground) < SEEN:
        base, ground = other, other
    rows = [_row(picture, number, ground, base) for number in range(picture.height)]
    if len(rows) % 2:
        rows.append([base] * picture.width)
    return [_line(above, below) for above, below in zip(rows[::2], rows[1::2])]


def _value(style: Style, front: bool) -> Colour:
    """Of the colour that a style has in front or behind; of the terminal's own: black, white."""
    colour = style.color if front else style.bgcolor
    if colour is None or colour.triplet is None:
        return (0, 0, 0) if front else (255, 255, 255)
    return colour.triplet.red, colour.triplet.green, colour.triplet.blue


def _distance(picture: Picture, ground: Colour) -> float:
    """How far its opaque pixels are from the ground; none where all is transparent, or nothing
    is, for then no ground is seen."""
    pixels = picture.pixels
    alphas = pixels[3::4]
    if min(alphas) >= CLEAR or max(alphas) < CLEAR:
        return 255.0
    parts = [abs(value - below) * alpha
             for channel, below in enumerate(ground)
             for value, alpha in zip(pixels[channel::4], alphas)]
    return sum(parts) / 3 / (sum(alphas) or 1)


def _row(picture: Picture, number: int, ground: Colour, base: Optional[Colour]
         ) -> List[Optional[Colour]]:
    start = number * picture.width * 4
    row = picture.pixels[start:start + picture.width * 4]
    found: List[Optional[Colour]] = []
    for red, green, blue, alpha in zip(row[::4], row[1::4], row[2::4], row[3::4]):
        if alpha == 255:
            found.append((red, green, blue))
        elif alpha < CLEAR:
            found.append(base)
        else:
            found.append((_mixed(red, ground[0], alpha), _mixed(green, ground[1], alpha),
                          _mixed(blue, ground[2], alpha)))
    return found


def _mixed(value: int, below: int, alpha: int) -> int:
    return (value * alpha + below * (255 - alpha)) // 255


def _line(above: List[Optional[Colour]], below: List[Optional[Colour]]) -> List[Piece]:
    """Cells of the same two colours are one piece."""
    line: List[Piece] = [(" ", None)]
    last: Tuple[Optional[Colour], Optional[Colour]] = (None, None)
    count = 0
    for pair in zip(above, below):
        if count and pair != last:
            line.append(_piece(*last, count))
            count = 0
        last = pair
        count += 1
    line.append(_piece(*last, count))
    return line


def _piece(above: Optional[Colour], below: Optional[Colour], count: int) -> Piece:
    if above == below:
        style = None if above is None else Style(bgcolor=Color.from_rgb(*above))
        return " " * count, style
    if above is None:
        above, below, char = below, None, "▄"
    else:
        char = "▀"
    assert above is not None
    return char * count, Style(color=Color.from_rgb(*above),
                               bgcolor=None if below is None else Color.from_rgb(*below))
