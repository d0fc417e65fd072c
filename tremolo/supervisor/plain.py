"""The feed as lines of text, or of JSON, for terminals without a dashboard and for programs.

A consumer like the dashboard: what it prints is in the messages, and nowhere else.
"""

from __future__ import annotations

import os
import sys
import time

from ..telemetry.codec import encode_cut
from ..telemetry.sanitize import clean_lines, clock

TYPE_CHECKING = False  # a supervisor at rest is without typing
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, TextIO

    from ..telemetry.changes import Changes

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2"}

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_VERBS = {"start": "started", "request": "reloaded by request", "hangup": "workers renewed",
          "packages": "reloaded, installed packages changed,"}


def wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and (
        os.environ.get("TERM") != "dumb")


def reload_line(event: Mapping[str, Any]) -> str:
    """One line about a ReloadEvent: `reloaded shop.py 74 ms: seen 12 · fork 3 · ...`."""
    files: List[str] = list(event.get("files", []))
    shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    state = event.get("state")
    if state == "failed":
        from ..telemetry.builders import error_line

        what = error_line(event.get("error") or {})
        then = outlook(event)
        ending = f" {then[:1].upper()}{then[1:]}" if what.endswith(("?", "!")) else f"; {then}"
        return (f"gen {event.get('gen')} failed{f' ({shown})' if shown else ''}: "
                f"{what.rstrip('.')}{ending}")
    if state == "started":
        return f"gen {event.get('gen')} starting{f' ({shown})' if shown else ''}"
    parts = " · ".join(f"{name} {ms:.0f}" for name, ms in event.get("parts", {}).items())
    verb = f"reloaded {shown}" if shown else _VERBS.get(str(event.get("cause")), "reloaded")
    return f"{verb} {event.get('ms', 0):.0f} ms: {parts}  gen={event.get('gen')}"


def outlook(event: Mapping[str, Any]) -> str:
    """What happens after a failed ReloadEvent."""
    return {"ends": "the server ends", "waits": "waiting for a change",
            "asked": "503 is answered until a reload is asked for"}.get(
                str(event.get("then")), f"gen {event.get('serving')} serves on")


class Output:
    """Writes lines until nobody reads them any more."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.broken = False

    def write(self, text: str) -> None:
        if self.broken:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (BrokenPipeError, ValueError):
            self.broken = True
        except OSError:
            self.broken = True  # a terminal that was closed


class PlainConsumer:
    """One line a request on `out`, tracebacks and everything else on `err`, from `level` on:
    a line of a request counts as INFO."""

    def __init__(self, out: Optional[TextIO] = None, err: Optional[TextIO] = None,
                 level: str = "", logs: bool = False,
                 dropped: Optional[Dict[int, int]] = None) -> None:
        out, err = out or sys.stdout, err or sys.stderr
        self._out, self._err = Output(out), Output(err)
        self._colour_out, self._colour_err = wants_colour(out), wants_colour(err)
        self._level = _LEVELS.get(level.lower() or "debug", 0)
        self._requests = self._level <= _LEVELS["info"]
        self._logs = logs
        #: how many requests of each worker were reported to be left out
        self.dropped: Dict[int, int] = {} if dropped is None else dropped
        self._changes: Optional[Changes] = None

    def handle(self, message: Mapping[str, Any]) -> None:
        action = getattr(self, f"_on_{message['kind']}", None)
        if action is not None:
            action(message)

    def announce(self, app: str, addresses: List[str], workers: int, local: str = "") -> None:
        """Say where the server is, once; `local` is one more address."""
        noun = "worker" if workers == 1 else "workers"
        self._print({"t": time.time()}, f"tremolo serves {app} on {', '.join(addresses)} "
                  f"({workers} {noun}){f', also {local}' if local else ''}", "", "info")

    def _on_hello(self, hello: Mapping[str, Any]) -> None:
        self._changes = self._changes or _changes(hello)
        if not hello.get("gen"):  # nothing serves that was asked for
            verb = "answers 503 for" if hello.get("failed") else "starts"
            self._print({"t": time.time()}, f"tremolo {verb} {hello.get('app', '')} on "
                      f"{', '.join(hello.get('addresses', []))}", "",
                      "error" if hello.get("failed") else "info")
            return
        self.announce(hello.get("app", ""), hello.get("addresses", []),
                      max(1, len(hello.get("workers", []))), hello.get("local", ""))

    def _on_frame(self, frame: Mapping[str, Any]) -> None:
        if not self._requests:
            return
        pid, gen = frame.get("pid", 0), frame.get("gen", 0)
        lines = [self._request(row, gen, pid) for row in frame.get("rows", ())
                 if row.get("state") != "live"]
        dropped = frame.get("totals", {}).get("rows_dropped", 0)
        more = dropped - self.dropped.get(pid, 0)
        if more > 0:
            self.dropped[pid] = dropped
            lines.append(f"{clock(frame.get('t', 0.0))} {more} requests are not shown "
                         f"gen={gen} pid={pid}\n")
        if frame.get("final"):
            self.dropped.pop(pid, None)
        if lines:
            self._out.write("".join(lines))
        if self._changes is not None:
            for change in self._changes.of_frame(frame):
                self._print(change, self._changes.line_of(change),
                            "yellow" if change["worse"] else "green", "info")

    def _request(self, row: Mapping[str, Any], gen: int, pid: int) -> str:
        status = row.get("status", 0)
        word = str(status) if status else "-"
        colour = "red" if status >= 500 or not status else "yellow" if status >= 400 else (
            "cyan" if status >= 300 else "green")
        if row.get("state") == "aborted":
            word += " aborted"
        return (f"{clock(row.get('t', 0.0))} {row.get('method')} {row.get('path')} "
                f"{_paint(word, colour, self._colour_out)} {row.get('ms', 0):.1f}ms "
                f"{row.get('bytes_out', 0)}b gen={gen} pid={pid}"
                + (f" proxied={row['proxied']}" if row.get("proxied") else "") + "\n")

    def _on_reload(self, event: Mapping[str, Any]) -> None:
        state = event.get("state")
        if state == "started":
            return
        failed = state == "failed"
        self._print(event, reload_line(event), "red" if failed else "green",
                  "error" if failed else "info")
        if failed:
            self._traceback(event.get("error") or {})

    def _on_error(self, event: Mapping[str, Any]) -> None:
        from ..telemetry.builders import error_line

        path = f" {event.get('method')} {event['path']}" if event.get("path") else ""
        times = f" (and {event['count'] - 1:,} more)" if event.get("count", 1) > 1 else ""
        self._print(event, f"{event.get('where')}{path}: {error_line(event)}{times}  "
                  f"gen={event.get('gen')} pid={event.get('pid')}", "red",
                  "error")
        self._traceback(event)

    def _traceback(self, event: Mapping[str, Any]) -> None:
        text = event.get("traceback")
        if text and event.get("type") != "ConfigurationError" and (
                self._level <= _LEVELS["error"]):
            self._err.write(clean_lines(str(text)).rstrip("\n") + "\n")

    def _on_worker(self, event: Mapping[str, Any]) -> None:
        state = event.get("state")
        if state == "exited" and not event.get("expected"):
            retry = event.get("retry_in")
            then = "" if retry is None else (
                ", replaced" if not retry else f", replaced in {retry:g} s")
            self._print(event, f"worker {event.get('pid')} ended: {event.get('cause')}{then}",
                      "red", "error")

    def _on_throttle(self, event: Mapping[str, Any]) -> None:
        from ..throttle import Throttle

        rules = event.get("throttle", {})
        text = ", ".join(
            f"{scope}: {Throttle.from_dict(rule)}" for scope, rule in rules.items())
        self._print(event, f"throttle {text or 'off'}", "yellow", "info")

    def _on_log(self, event: Mapping[str, Any]) -> None:
        if event.get("stream") == "tremolo":
            level = str(event.get("level"))
            colour = "" if level in ("info", "debug") else "yellow"
            self._print(event, clean_lines(str(event.get("text"))), colour, level)
        elif event.get("stream") == "browser":
            level = str(event.get("level"))
            text = clean_lines(str(event.get("text")))
            self._print(event, f"browser {event.get('page')} | {text}",
                      "red" if level == "error" else "yellow", level)
        elif event.get("stream") == "companion":
            self._print(event, f"{event.get('name')} | {event.get('text')}", "", "info")
        elif self._logs:
            text = str(event.get("text"))
            if event.get("stream") == "log":
                text = (f"{clock(event.get('t', 0.0))} {str(event.get('level')).upper()} "
                        f"{event.get('name')}: {text}")
            (self._out if event.get("stream") == "stdout" else self._err).write(text + "\n")

    def _print(self, event: Mapping[str, Any], text: str, colour: str, level: str) -> None:
        if _LEVELS.get(level, 0) < self._level:
            return
        self._err.write(
            f"{clock(event.get('t', 0.0))} {_paint(text, colour, self._colour_err)}\n")


def _paint(text: str, colour: str, on: bool) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if on and colour else text


def _changes(hello: Mapping[str, Any]) -> Optional[Changes]:
    """What finds changes since the last save, where the code may change."""
    if not hello.get("reload"):
        return None
    from ..telemetry.changes import Changes

    return Changes()


class JSONConsumer:
    """One object a line on `out`: request, insight, change, reload, assets, error, log, stats,
    worker, throttle."""

    KINDS = frozenset(("reload", "error", "log", "stats", "worker", "throttle", "hello",
                       "assets", "insight"))

    def __init__(self, out: Optional[TextIO] = None) -> None:
        self._out = Output(out or sys.stdout)
        self._changes: Optional[Changes] = None

    def handle(self, message: Mapping[str, Any]) -> None:
        kind = message["kind"]
        if kind == "hello":
            self._changes = self._changes or _changes(message)
        if kind in self.KINDS:
            self._out.write(encode_cut(message).decode("ascii"))
        elif kind == "frame":
            head = {"v": message.get("v"), "kind": "request"}
            tail = {"gen": message.get("gen"), "pid": message.get("pid")}
            self._out.write("".join(
                encode_cut({**head, **row, **tail}).decode("ascii")
                for row in message.get("rows", ()) if row.get("state") != "live"))
            if self._changes is not None:
                for change in self._changes.of_frame(message):
                    self._out.write(encode_cut(change).decode("ascii"))
