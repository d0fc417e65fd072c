"""What the detail shows of a worker, of a reload, and of a pinned request."""

from typing import Sequence, Tuple

from ..draw import Piece, fit, middle_cut, right, wrapped, wrapped_pieces
from ..model import differences, text
from ..model.notices import Notices
from ..model.pins import Answer, Pin, compare
from ..model.workers import Reload, Worker
from .page import Lines, Page, Styled, Wrapped, fact, heading

SLOWEST = 3  # modules
ROOMY = 14  # lines from which on there is room for headings


def worker_lines(pane: Page, worker: Worker, width: int) -> Lines:
    """State, figures, and where the main thread stood when it was last found blocked."""
    now = pane.session.clock()
    state = "error" if worker.state == "blocked" or not worker.expected else "good"
    lines: Lines = [
        [(" worker ", pane.style("dim")), (str(worker.pid), pane.style("strong")),
         ("  " + worker.state, pane.style(state))],
        fact(pane, "gen", f"{worker.gen} · slot {worker.slot}"),
        fact(pane, "memory", f"{worker.rss / 1048576:.0f} MB"),
        fact(pane, "cpu", f"{worker.cpu * 100:.0f}% of a core, "
                         f"{worker.telemetry * 100:.1f}% for telemetry"),
        fact(pane, "loop lag", f"{text.duration(worker.lag_ms)}"),
        fact(pane, "requests", f"{worker.requests:,} · {worker.active} active · "
                              f"{worker.open} connections"),
    ]
    if worker.cause and worker.state != "blocked":
        lines.append(fact(pane, "cause", worker.cause))
    if worker.blocked_by:
        since = now - worker.blocked_at if worker.blocked_at is not None else None
        note = f"for {since:.1f} s" if since is not None else f"took {worker.blocked_for:.1f} s"
        lines += [[], *heading(pane, "Blocked", note, width),
                  Wrapped([(" ", None), (worker.blocked_by, pane.style("error"))]), []]
        lines += [stack_line(pane, line) for line in worker.stack]
    return lines


def stack_line(pane: Styled, line: str) -> Sequence[Piece]:
    frame = line.lstrip().startswith("File ")
    return [(" ", None), (line, pane.style("second" if frame else "text"))]


_KINDS = {"good": "good", "error": "error", "warning": "warning"}


def notice_lines(pane: Page, notices: Notices, width: int, wall: float) -> Lines:
    """What the status row said, the newest first; long ones are wrapped."""
    count = len(notices.items)
    note = f"the last {count}" if count else "none yet"
    lines: Lines = [*heading(pane, "Notices", note, width)]
    if not count:
        words = "what stood at the foot of the screen: reloads, errors, what keys did"
        lines.append(Wrapped([(" ", None), (words, pane.style("dim"))]))
    now = pane.session.clock()
    for notice in reversed(notices.items):
        again = f"  ×{notice.count}" if notice.count > 1 else ""
        parts = wrapped(notice.text + again, max(10, width - 11))
        kind = pane.style(_KINDS.get(notice.kind, "text"))
        when = text.clock(wall - (now - notice.at))
        lines.append([(f" {when} ", pane.style("dim")), (parts[0], kind)])
        lines += [[(" " * 10, None), (part, kind)] for part in parts[1:]]
    return lines


def reload_lines(pane: Page, reload: Reload, width: int) -> Lines:
    """The phases on one scale, and the slowest of the project's modules."""
    good = reload.state != "failed"
    title = "started" if reload.first else "reloaded" if good else "failed"
    lines: Lines = [
        [(" generation ", pane.style("dim")), (str(reload.trying), pane.style("strong")),
         (f"  {title}", pane.style("good" if good else "error")),
         (f"  {reload.ms or 0.0:.0f} ms", pane.style("text"))]]
    compact = pane.body_height < ROOMY
    if reload.files and not reload.first:
        lines.append(fact(pane, "files", ", ".join(reload.files)))
    if reload.mode and not compact:
        ahead = f" · {reload.preloaded:,} modules preloaded" if reload.preloaded else ""
        lines.append(fact(pane, "by", reload.mode + ahead))
    if reload.error:
        lines.append(Wrapped([(" ", None), (reload.error, pane.style("error"))]))
    if compact and reload.parts:
        lines += _bars(pane, list(reload.parts.items()), width, one_after_another=True)
        slowest = " · ".join(f"{name} {ms:.0f}" for name, ms in reload.modules[:SLOWEST])
        return [*lines, fact(pane, "slowest", slowest + " ms")] if slowest else lines
    if reload.parts:
        lines += [[], *heading(pane, "Time", f"{reload.ms or 0.0:.0f} ms", width)]
        lines += _bars(pane, list(reload.parts.items()), width, one_after_another=True)
    if reload.modules:
        lines += [[], *heading(pane, "Slowest modules", "of the project", width)]
        lines += _bars(pane, reload.modules[:SLOWEST], width, one_after_another=False)
    if len(reload.history) > 1:
        mean = reload.mean_ms or 0.0
        lines += [[], fact(pane, "mean", f"{mean:.0f} ms of the last {len(reload.history)}")]
    return lines


def _bars(pane: Styled, parts: Sequence[Tuple[str, float]], width: int, one_after_another: bool
          ) -> Lines:
    names = min(24, max(len(name) for name, _ in parts))
    room = max(6, width - names - 14)
    whole = (sum if one_after_another else max)(ms for _, ms in parts) or 1.0
    lines: Lines = []
    start = 0.0
    for name, ms in parts:
        before = min(room - 1, round(start / whole * room)) if one_after_another else 0
        length = min(room - before, max(1 if ms > 0 else 0, round(ms / whole * room)))
        lines.append([(" " + fit(middle_cut(name, names), names), pane.style("dim")),
                      (right(text.millis(ms), 8) + "  ", pane.style("text")),
                      (" " * before, None), ("━" * length, pane.style("second"))])
        start += ms
    return lines


def pin_lines(pane: Page, pin: Pin, width: int) -> Lines:
    """The answers of a pinned request, each against the one before, and the newest difference
    line against line."""
    lines: Lines = [*heading(pane, "Pinned", "p unpins", width)]
    for index, answer in enumerate(pin.answers):
        changes = compare(pin.answers[index - 1], answer) if index else []
        bad = bool(answer.error) or answer.status >= 500
        lines += wrapped_pieces([
            (f" {_when(answer)} ", pane.style("dim")),
            (answer.words(), pane.style("error" if bad else "text")),
            ("  " + ", ".join(changes) if changes else "  =" if index else "",
             pane.style("warning" if changes else "dim"))], width - 1, 12)
    if not pin.answers:
        lines.append([(" sent again after each reload", pane.style("dim"))])
    pair = pin.pair()
    if pair is None:
        return lines
    before, after = pair
    note = (f"{_when(before).strip()} → {_when(after).strip()} · "
            f"{differences.times(before, after)}")
    return [*lines, [], *heading(pane, "Difference", note, width),
            *(piece for line in differences.lines_of(before, after)
              for piece in _difference(pane, line, width))]


def _when(answer: Answer) -> str:
    return f"gen {answer.gen:<5}" if answer.gen else "earlier  "


def _difference(pane: Page, line: differences.Line, width: int) -> Lines:
    sign, words = line
    if sign == "@":
        return [[(f" {words}", pane.style("head"))]]
    kind = {"-": "error", "+": "good"}.get(sign, "dim")
    return [[(f" {sign if not number else ' '} ", pane.style(kind)), (part, pane.style(kind))]
            for number, part in enumerate(wrapped(words, width - 4) or [""])]
