"""What is known from within a request, as tabs of its detail or parts of them."""

import itertools
import os
from typing import List, Sequence, Tuple

from tremolo.units import counted

from ..draw import Piece, wrapped_pieces
from ..model import text
from ..model.insight import Mail, Query
from ..model.traffic import Row
from .lines import LinePane
from .page import heading

SETS = 8  # of parameters of a statement that was sent again and again


def call_lines(pane: LinePane, row: Row, width: int) -> List[Sequence[Piece]]:
    """The request's calls of other services."""
    facts = pane.session.insight.of(row.pid, row.id)
    if facts is None or not facts.call_count:
        return []
    note = f"{facts.call_count} in {text.millis(facts.calls_ms)} ms"
    lines: List[Sequence[Piece]] = list(heading(pane, "Calls", note, width))
    for call in facts.calls:
        failed = call.status >= "500" if call.status.isdigit() else (
            call.status[:1].isupper() or call.status.endswith(("refused", "cancelled")))
        lines.append([(f" {text.millis(call.ms):>7} ", pane.style("text")),
                      (f"{call.method} {call.target} ", pane.style("text")),
                      (f"{call.status} ", pane.style("error" if failed else "good")),
                      (_short(call.place), pane.style("dim"))])
        if call.mail is not None:
            lines += _mail_lines(pane, call.mail, width)
    return lines


def _mail_lines(pane: LinePane, mail: Mail, width: int) -> List[Sequence[Piece]]:
    """The message, as its reader would see it; the HTML only where there is no plain text."""
    dim, plain = pane.style("dim"), pane.style("text")
    fields = [("From", mail.sender), ("To", ", ".join(mail.to)), ("Subject", mail.subject),
              *(("Attached", f"{name or 'without a name'} · {kind} · {text.size(size)}")
                for name, kind, size in mail.attachments)]
    lines: List[Sequence[Piece]] = [[(f"         {name}: ", dim), (value, plain)]
                                    for name, value in fields if value]
    lines.append([])
    for line in mail.text or mail.html:
        lines += wrapped_pieces([("         " + line, plain)], width - 1, 9)
    if mail.text and mail.html:
        lines.append([("         and as HTML", dim)])
    if mail.cut:
        lines.append([("         there is more of it", dim)])
    lines.append([])
    return lines


def query_lines(pane: LinePane, row: Row, width: int) -> List[Sequence[Piece]]:
    """The statements that the request sent to databases, those first that it repeated."""
    facts = pane.session.insight.of(row.pid, row.id)
    if facts is None or not (facts.query_count or facts.waited_ms >= 1):
        return []
    dim, plain = pane.style("dim"), pane.style("text")
    ends = " · ".join(f"{count} {word}" for word, count in facts.transactions.items())
    note = f"{facts.query_count} in {text.millis(facts.sql_ms)} ms{' · ' if ends else ''}{ends}"
    lines: List[Sequence[Piece]] = list(heading(pane, "SQL", note, width))
    for each in facts.repeated:
        lines += wrapped_pieces(
            [(f" 1+N: {each.times}× ", pane.style("warning")), (each.sql, plain),
             (f" at {_short(each.place)} · {text.millis(each.ms)} ms", dim)], width - 1, 6)
    if facts.waited_ms >= 1:
        lines.append([(f" {text.millis(facts.waited_ms)} ms waited for a connection",
                       pane.style("warning"))])
    for _, alike in itertools.groupby(facts.queries, _appearance):
        run = list(alike)
        query, rows = run[0], sum(one.rows for one in run)
        parameters = [one.parameters for one in run if one.parameters]
        if len(parameters) > SETS:
            parameters[SETS:] = [f"and {counted(len(parameters) - SETS, 'other')}"]
        lines += wrapped_pieces(
            [(f" {text.millis(sum(one.ms for one in run)):>7} ", plain),
             (f"{len(run)}× " if len(run) > 1 else "", pane.style("warning")),
             (query.sql + " ", pane.style("error") if query.failed else plain),
             ("".join(f"{each} " for each in parameters), pane.style("second")),
             (f"{counted(rows, 'row')} " if query.rows >= 0 else "", dim),
             (_short(query.place), pane.style("dim"))], width - 1, 9)
    left = facts.query_count - len(facts.queries)
    if left > 0:
        lines.append([(f" {left} more are not shown", dim)])
    return lines


def _appearance(query: Query) -> Tuple[object, ...]:
    """Statements in a row that are the same but for parameters, times and rows are one line."""
    return query.sql, query.place, query.failed, query.rows >= 0


def _short(place: str) -> str:
    return os.path.basename(place)


def log_lines(pane: LinePane, row: Row, width: int) -> List[Sequence[Piece]]:
    """What the request wrote."""
    written = pane.session.log.of_request(row.pid, row.id)
    lines: List[Sequence[Piece]] = []
    for line in written:
        kind = "error" if line.rank >= 40 else "warning" if line.rank >= 30 else "text"
        pieces = [(" " + text.clock(line.t, True) + " ", pane.style("dim")),
                  (line.text, pane.style(kind))]
        lines += wrapped_pieces(pieces, width - 1, 14)
    return lines
