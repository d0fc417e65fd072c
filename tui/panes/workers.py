"""Worker processes, and what the last reload spent its time on."""

from typing import Any, List, Optional, Sequence, Tuple

from textual.binding import Binding

from ..draw import Column, Piece, fit, fitting, right, spread, wrapped_pieces
from ..model import text
from ..model.workers import Worker
from .lines import LinePane
from .summaries import stack_line

INDENT = 7  # of what does not fit into one line of the notes below the workers
_STATES = {"serving": ("●", "good"), "ready": ("●", "good"), "starting": ("◌", "dim"),
           "draining": ("◌", "warning"), "blocked": ("■", "error"), "exited": ("✖", "dim")}


COLUMNS = (Column("GEN", 5, 4), Column("STATE", 10, 0), Column("CPU", 6, 1), Column("RSS", 8, 5),
           Column("LAG", 8, 3), Column("OPEN", 7, 6), Column("BUSY", 6, 7),
           Column("REQUESTS", 11, 2))
AT_LEFT = ("GEN", "STATE")
SERVING = ("serving", "blocked")  # states of those that can be replaced


class WorkersPane(LinePane):
    NUMBER = 6
    TITLE = "Workers"
    HEADS = 1
    PERIOD = 0.4

    BINDINGS = [
        Binding("enter", "open", "inspect", key_display="⏎", id="workers.open"),
        Binding("i", "app.last_reload", "what the last reload took", show=False,
                id="workers.reload"),
        Binding("r", "restart", "restart", id="workers.restart"),
        Binding("plus,equals_sign", "count(1)", "one more", key_display="+",
                id="workers.more"),
        Binding("minus", "count(-1)", "one less", key_display="-", id="workers.less"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._workers: List[Worker] = []
        self._notes: List[List[Piece]] = []

    def version(self) -> Any:
        now = self.session.clock()
        waiting = any(worker.blocked_at is not None or (
            worker.retry_at is not None and worker.retry_at > now)
            for worker in self._workers)
        return (self.session.workers.revision, self.session.reload.at, self.selected,
                int(now * 2) if waiting else 0)

    def _settle(self) -> None:
        self._workers = self.session.workers.list()
        self._notes = [part for note in self._reload_notes()
                       for part in wrapped_pieces(note, self.size.width - 2, INDENT)]
        super()._settle()

    def count(self) -> int:
        return len(self._workers) + len(self._notes)

    def key_at(self, index: int) -> Any:
        return self._workers[index].pid if index < len(self._workers) else None

    def empty_text(self) -> str:
        return "no worker yet"

    def unusual(self) -> bool:
        """Somebody is blocked, or died."""
        return any(worker.blocked_at is not None or (
            worker.state == "exited" and not worker.expected) for worker in self._workers)

    def condensed_pieces(self, width: int) -> Sequence[Piece]:
        dim, plain = self.style("dim"), self.style("text")
        pieces: List[Piece] = [("─", self.style("rule")), (f" {self.NUMBER} ", dim),
                               (self.TITLE, self.style("title"))]
        workers = [worker for worker in self._workers if worker.state != "exited"]
        for worker in workers:
            mark, kind = _STATES.get(worker.state, ("●", "text"))
            words: List[Piece] = [("   " + mark, self.style(kind)), (f" {worker.pid}", plain),
                                  (f" gen {worker.gen}", dim)]
            if worker.state in ("serving", "ready"):
                lag = "warning" if worker.lag_ms >= 50 else "dim"
                words += [(f" cpu {worker.cpu * 100:.0f}%", dim),
                          (f" {worker.rss / 1048576:.0f} MB" if worker.rss else "", dim),
                          (f" lag {worker.lag_ms:.0f} ms" if worker.lag_ms >= 0.5 else "",
                           self.style(lag))]
            else:
                words.append((f" {worker.state}", self.style(kind)))
            if sum(len(part) for part, _ in pieces + words) > width - 30:
                pieces.append((f"   +{len(workers) - workers.index(worker)}", dim))
                break
            pieces += words
        end: List[Piece] = [(f"{self.title_end()} ", dim)] if self.title_end() else []
        return spread(pieces, end, width)

    def title_end(self) -> str:
        reload = self.session.reload
        counts = f"{reload.preloaded:,} modules preloaded" if reload.preloaded else ""
        if reload.not_preloaded:
            counts += f"{', ' if counts else ''}{len(reload.not_preloaded)} not"
        return " · ".join(part for part in (reload.mode, counts) if part)

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        names = "   " + fit("PID", 8) + "".join(
            (fit if head in AT_LEFT else right)(head, cells)
            for head, cells, _ in self._columns(width))
        return [(fit(names, width), self.style("head"))]

    def _columns(self, width: int) -> Tuple[Column, ...]:
        return fitting(COLUMNS, width - 11)

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        if index >= len(self._workers):
            return self._notes[index - len(self._workers)]
        worker = self._workers[index]
        mark, kind = _STATES.get(worker.state, ("●", "text"))
        if worker.state == "exited" and not worker.expected:
            kind = "error"
        dim, plain = self.style("dim"), self.style("text")
        chosen = worker.pid == self.selected
        line: List[Piece] = [
            ("▌" if chosen else " ", self.style("key")), (mark + " ", self.style(kind)),
            (fit(str(worker.pid), 8), plain),
        ]
        columns = self._columns(width)
        known = {"GEN": (str(worker.gen), dim), "STATE": (worker.state, self.style(kind))}
        line += [(fit(known[head][0], cells), known[head][1])
                 for head, cells, _ in columns if head in AT_LEFT]
        if worker.state == "exited":
            cause = worker.cause or ("drained" if worker.expected else "no cause known")
            if worker.retry_at is not None:
                left = worker.retry_at - self.session.clock()
                replaced = any(other.state == "serving" and other.slot == worker.slot
                               for other in self._workers)
                cause += ", replaced" if replaced else (
                    f", replaced in {left:.1f} s" if left > 0 else ", being replaced")
            line.append((cause, self.style("dim" if worker.expected else "error")))
            return line
        if worker.blocked_at is not None:
            since = self.session.clock() - worker.blocked_at
            line += [(right(f"{since:.1f} s", 8) + "  ", self.style("warning")),
                     (worker.blocked_by, self.style("error"))]
            return line
        lag = self.style("warning" if worker.lag_ms >= 50 else "dim")
        values = {
            "CPU": (f"{worker.cpu * 100:.0f}%", plain),
            "RSS": (f"{worker.rss / 1048576:.0f} MB" if worker.rss else "–", plain),
            "LAG": (f"{worker.lag_ms:.0f} ms" if worker.lag_ms >= 0.5 else "–", lag),
            "OPEN": (text.number(worker.open), plain),
            "BUSY": (text.number(worker.active), plain),
            "REQUESTS": (f"{worker.requests:,}", plain)}
        line += [(right(values[head][0], cells), values[head][1])
                 for head, cells, _ in columns if head not in AT_LEFT]
        return line

    def _reload_notes(self) -> List[List[Piece]]:
        """Below the workers: what the last reload took, and who was blocked by what."""
        reload, dim = self.session.reload, self.style("dim")
        notes: List[List[Piece]] = []
        if reload.parts:
            what = "start" if reload.first else "last reload"
            notes.append([(f" {what} ", dim), (reload.spent(), self.style("text")),
                          ("   i shows more", self.style("dim"))])
        for worker in self._workers:
            if not worker.blocked_by:
                continue
            over = worker.blocked_at is None
            how = f"was blocked for {worker.blocked_for:.1f} s" if over else "is blocked"
            notes += [[], [(f" {worker.pid} {how}: ", self.style("dim" if over else "error")),
                           (worker.blocked_by, self.style("text"))]]
            notes += [list(stack_line(self, line)) for line in worker.stack]
        if reload.not_preloaded:
            notes.append([])
        for module, reason in reload.not_preloaded:
            notes.append([(" not preloaded ", dim), (module, self.style("text")),
                          (f"  {reason}", dim)])
        if notes and notes[0]:
            notes.insert(0, [])
        return notes

    def refuses(self, action: str) -> bool:
        if action == "restart":
            worker = self.selected_worker()
            return worker is None or worker.state not in SERVING
        return not self._workers if action == "open" else (
            action == "count(-1)" and self._wanted_count(-1) == self._wanted_count(0))

    def action_open(self) -> None:
        if self.selected is None and self._workers:
            self.select_index(0)
        if self.selected is not None:
            self.post_message(self.Selected(self))

    def subject_of_selection(self) -> Any:
        return self.selected_worker()

    def selected_worker(self) -> Optional[Worker]:
        return next((w for w in self._workers if w.pid == self.selected), None)

    def action_restart(self) -> None:
        worker = self.selected_worker()
        if worker is None or worker.state not in SERVING:
            self.session.notify("select a worker first, then r restarts it" if worker is None else
                                f"worker {worker.pid} does not serve any more", "warning")
            return
        self.session.commands.give("restart", {"pid": self.selected},
                                   f"restart worker {self.selected}")

    def action_count(self, step: int) -> None:
        count = self._wanted_count(step)
        self.session.commands.give("workers", {"count": count},
                                   f"{count} worker{'' if count == 1 else 's'}")

    def _wanted_count(self, step: int) -> int:
        current = self.session.workers.count("serving", "ready", "starting", "blocked")
        return max(1, current + step)
