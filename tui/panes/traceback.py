"""What was raised, as lines: the places in the project from where it happened outwards, each with
its source and its variables, the framework's folded.

Where only the text of a traceback is known (from older sessions, and of servers that are no
development servers), it is that, as Python prints it.
"""

import re
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from rich.cells import cell_len
from rich.style import Style

from tremolo.units import counted

from ..draw import Piece, shortened, wrapped_pieces
from ..model.logs import Error
from ..model.raised import Frame, Raised, shown_file
from .page import Lines, Page

_PRINTED_FRAME = re.compile(r'^\s*(?:\|\s*)*File "(.+)", line (\d+)(?:, in (.+))?$')
_FOREIGN = re.compile(r"site-packages|dist-packages|/lib/python\d|/lib/pypy|<frozen |tremolo/")
_PACKAGES = re.compile(r".*/(?:site|dist)-packages/|.*/lib/(?:python|pypy)\d[^/]*/")
#: how one exception of a chain came of another
_RELATIONS = {"cause": "raised from", "context": "raised while handling", "member": "contains"}
_MARKED = Style(underline=True)
_NARROWEST = 20  # cells; what is wider than the screen is cut there


def error_lines(pane: Page, error: Error, unfold: bool, width: int) -> Lines:
    """What was raised, and where."""
    width = max(width, _NARROWEST)
    lines: List[Sequence[Piece]] = [*_title(pane, "", error.type, error.text, width)]
    if error.file:
        whole = [*lines[-1], ("  e", pane.style("key")), (" opens the editor", pane.style("dim"))]
        if cell_len("".join(text for text, _ in whole)) < width:
            lines[-1] = whole
    return [*lines, *raised_lines(pane, error, unfold, width)]


def raised_lines(pane: Page, error: Error, unfold: bool, width: int) -> Lines:
    """As `error_lines`, but without its type and text, where these are shown beside."""
    width = max(width, _NARROWEST)
    if not _frames_known(error):
        return _printed_lines(pane, error, unfold, width)
    lines: List[Sequence[Piece]] = []
    for raised in error.chain:
        if raised.relation:
            how = _RELATIONS.get(raised.relation, raised.relation)
            lines += [[], *_title(pane, how + " ", raised.type, raised.text, width)]
        lines += _Frames(pane, raised, unfold, width).lines()
    return lines


def _frames_known(error: Error) -> bool:
    return any(raised.frames for raised in error.chain)


def _title(pane: Page, how: str, kind: str, words: str, width: int) -> Lines:
    pieces = [(f" {how}", pane.style("dim")), (kind, pane.style("failed"))]
    if words:
        pieces.append((f": {words}", pane.style("text")))
    return [*wrapped_pieces(pieces, width - 1, 1)]


class _Frames:
    """The lines of one exception's frames."""

    def __init__(self, pane: Page, raised: Raised, unfold: bool, width: int) -> None:
        self._pane = pane
        self._raised = raised
        self._width = width
        self._all = unfold or not any(frame.project for frame in raised.frames)

    def lines(self) -> Lines:
        lines: List[Sequence[Piece]] = []
        hidden = 0
        inner = ""  # what the frame before was the code of, "" for none
        for frame in reversed(self._raised.frames):
            if not (self._all or frame.project):
                hidden += 1
                continue
            if hidden:
                lines.append(_fold(self._pane, hidden))
                hidden = 0
            lines += self._frame(frame, inner)
            inner = frame.name or "<module>"
        if hidden:
            lines.append(_fold(self._pane, hidden))
        if self._raised.left_out:
            lines.append([(f" {self._raised.left_out:,} more are not shown",
                           self._pane.style("dim"))])
        return lines

    def _frame(self, frame: Frame, inner: str) -> Iterator[Sequence[Piece]]:
        dim, plain = self._pane.style("dim"), self._pane.style("text")
        how = "" if not inner else "imported from " if inner == "<module>" else "called from "
        pieces: List[Piece] = [(" " + how, dim), (self._place(frame), self._pane.style("link"))]
        if frame.name:
            pieces += [(" in ", dim), (frame.name, plain)]
        yield from wrapped_pieces(pieces, self._width - 1, 3)
        yield from self._source(frame, around=not inner)
        for name, value in frame.variables.items():
            start = f"     {name} = "
            yield [(start, dim), (shortened(value, self._width - 1 - cell_len(start)), plain)]

    def _place(self, frame: Frame) -> str:
        file = shown_file(frame.file, self._pane.session.folder)
        return f"{file if frame.project else _PACKAGES.sub('', file)}:{frame.line}"

    def _source(self, frame: Frame, around: bool) -> Iterator[Sequence[Piece]]:
        """The line of the frame, and those `around` it."""
        dim = self._pane.style("dim")
        numbered = list(enumerate(frame.source, frame.first))
        numbered = _paragraph(numbered, frame.line) if around else [
            (number, text) for number, text in numbered if number == frame.line]
        margin = min((len(text) - len(text.lstrip()) for _, text in numbered if text.strip()),
                     default=0)
        digits = len(str(numbered[-1][0])) if numbered else 0
        room = self._width - 1
        for number, text in numbered:
            start = f"{number:>{digits}} "
            if number != frame.line:
                yield [(f"   {start}{shortened(text[margin:], room - 3 - len(start))}", dim)]
                continue
            pieces = [(" ▸ ", self._pane.style("error")), (start, dim),
                      *self._marked(text[margin:], frame.marked, margin)]
            indent = 3 + len(start) + len(text) - len(text.lstrip()) - margin + 2
            yield from wrapped_pieces(pieces, room, min(indent, room // 2))

    def _marked(self, text: str, marked: Tuple[int, int], margin: int) -> Sequence[Piece]:
        plain = self._pane.style("text")
        begin, end = (max(0, column - margin) for column in marked)
        if begin >= end:
            return [(text, plain)]
        return [(text[:begin], plain), (text[begin:end], self._pane.style("error") + _MARKED),
                (text[end:], plain)]


def _paragraph(numbered: List[Tuple[int, str]], line: int) -> List[Tuple[int, str]]:
    """The lines around `line`, up to two blank ones: what is behind those is another matter."""
    found: List[Tuple[int, str]] = []
    for number, text in numbered:
        blank = not text.strip() and (not found or not found[-1][1].strip())
        if blank and number > line:
            break
        if blank:
            found.clear()
        else:
            found.append((number, text))
    while len(found) > 1 and not found[-1][1].strip():
        del found[-1]
    return found


def _fold(pane: Page, count: int) -> Sequence[Piece]:
    return [(f" ▹ {counted(count, 'framework frame')} hidden (f)", pane.style("dim"))]


# -- as Python prints it


class _Line(NamedTuple):
    kind: str
    text: str


_STYLES = {"frame": "link", "source": "text", "mark": "error", "error": "failed", "text": "dim"}


def _printed_lines(pane: Page, error: Error, unfold: bool, width: int) -> Lines:
    """A frame's lines together; without frames of the project all are shown."""
    blocks = list(_blocks(pane, error.traceback))
    fold = not unfold and any(
        block[0].kind == "frame" and not foreign for block, foreign in blocks)
    lines: List[Sequence[Piece]] = []
    hidden = 0
    for block, foreign in blocks:
        if fold and foreign:
            hidden += 1
            continue
        if hidden:
            lines.append(_fold(pane, hidden))
            hidden = 0
        lines += _block_lines(pane, block, width)
    if hidden:
        lines.append(_fold(pane, hidden))
    return lines


def _blocks(pane: Page, traceback: Sequence[str]) -> Iterator[Tuple[List[_Line], bool]]:
    """What belongs together, and whether it is a frame of somebody else's code."""
    block: List[_Line] = []
    foreign = False
    for text in traceback:
        found = _PRINTED_FRAME.match(text)
        if block and not found and block[0].kind == "frame" and text.startswith("    "):
            mark = set(text.strip()) <= set("^~-")
            block.append(_Line("mark" if mark else "source", text))
            continue
        if block:
            yield block, foreign
        if found:
            file, foreign = found.group(1), _FOREIGN.search(found.group(1)) is not None
            shown = shown_file(file, pane.session.folder)
            block = [_Line("frame", text.strip().replace(file, shown, 1))]
        else:
            foreign = False
            block = [_Line("text" if text.startswith("Traceback") or not text else "error", text)]
    if block:
        yield block, foreign


def _block_lines(pane: Page, block: Sequence[_Line], width: int) -> Lines:
    lines: List[Sequence[Piece]] = []
    whole = True  # the line above is one line here, too
    for kind, text in block:
        pieces = [(" ", None), (text, pane.style(_STYLES[kind]))]
        if kind == "mark":
            if whole and cell_len(text) + 1 < width:  # else they would point at something else
                lines.append(pieces)
            continue
        wrapped = wrapped_pieces(pieces, width - 1, 6)
        whole = len(wrapped) == 1
        lines += wrapped
    return lines
