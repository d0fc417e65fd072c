"""Builds messages: one function a kind, so that no other place writes one by hand.

Those for viewers are typed in `messages`, what else they are given in `facts`: types, which are
much to load and nothing at run time. Of times, `t` is the wall clock, now unless it is given.
"""

import os
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from ..units import counted
from .codec import VERSION

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .facts import FrameContents, LifeFacts, ListenerFacts, ReloadOutcome, StartFacts
    from .insight_messages import ChangeEvent, InsightEvent
    from .messages import (
        Ack,
        AssetsEvent,
        Command,
        ErrorEvent,
        Frame,
        HeldEvent,
        Hello,
        LogEvent,
        MailEvent,
        PastEvent,
        ReloadEvent,
        StatsEvent,
        ThrottleEvent,
        Totals,
        WorkerEvent,
    )

#: the logger of what a framework's own checks find at each start
CHECKS = "tremolo.checks"
#: of what a framework's own server would warn of, and of a start that takes long
ADVICE = "tremolo.advice"
SLOW_START = "tremolo.starting"
#: what is at a place where a module was looked for, beside a file: neither a module nor a folder
#: of that name
NOTHING = ""
#: no module; a folder would change nothing, for a module was found elsewhere
NO_MODULE = "-"
#: a folder without `__init__`: a portion of a namespace package
FOLDER = os.sep
#: not the same each time it was looked for, or for each of several workers; so of files, too
MIXED = "?"


def wall() -> float:
    """The wall clock, for the `t` of messages."""
    return round(time.time(), 4)


# -- for viewers


def hello(**state: "Unpack[Hello]") -> "Hello":
    """What is known of a server, all of it or its beginning."""
    return {**state, "v": VERSION, "kind": "hello", "t": wall()}


def worker_event(pid: int, gen: int, slot: int, state: str, cause: Optional[str] = None,
                 expected: bool = False, retry_in: Optional[float] = None) -> "WorkerEvent":
    return {"v": VERSION, "kind": "worker", "t": wall(), "pid": pid, "gen": gen, "slot": slot,
            "state": state, "cause": cause, "expected": expected, "retry_in": retry_in}


def reload_event(gen: int, serving: int, state: str, cause: str, files: Sequence[str] = (),
                 **outcome: "Unpack[ReloadOutcome]") -> "ReloadEvent":
    """Of `files` at most 50 are named."""
    return {"v": VERSION, "kind": "reload", "t": wall(), "gen": gen, "serving": serving,
            "state": state, "cause": cause, "files": list(files[:50]), **outcome}


def assets_event(gen: int, files: Sequence[str]) -> "AssetsEvent":
    return {"v": VERSION, "kind": "assets", "t": wall(), "gen": gen, "files": list(files)}


def error_event(where: str, kind: str, text: str, traceback: str = "", *, pid: int = 0,
                gen: int = 0) -> "ErrorEvent":
    """`kind` is the class of the exception, or what stands for one."""
    return {"v": VERSION, "kind": "error", "t": wall(), "pid": pid, "gen": gen, "where": where,
            "type": kind, "text": text, "traceback": traceback}


def error_line(error: Mapping[str, Any]) -> str:
    """An ErrorEvent in one line, `KeyError: 'total'`; of a wrong configuration only the text."""
    kind, text = str(error.get("type") or "error"), str(error.get("text") or "")
    if kind == "ConfigurationError" and text:
        return text
    return f"{kind}: {text}" if text else kind


def held_event(state: str, request: int, connection: int, seconds: float, method: str,
               path: str) -> "HeldEvent":
    """`seconds` are those that it is held for at most, 0.0 when it is no longer."""
    return {"v": VERSION, "kind": "held", "state": state, "id": request, "conn": connection,
            "t": wall(), "seconds": seconds, "method": method, "path": path}


def log_event(text: str, level: str = "info", name: str = "tremolo", stream: str = "tremolo", *,
              pid: int = 0, gen: int = 0) -> "LogEvent":
    return {"v": VERSION, "kind": "log", "t": wall(), "pid": pid, "gen": gen, "stream": stream,
            "level": level, "name": name, "text": text}


def left_out_event(count: int, pid: int = 0, gen: int = 0, name: str = "tremolo") -> "LogEvent":
    """A LogEvent that stands where `count` lines are missing."""
    event = log_event(
        f"{counted(count, 'line')} left out here: they came faster than they "
        "could be passed on", "warning", name, pid=pid, gen=gen)
    event["left_out"] = count
    return event


def insight_event(pid: int, gen: int, facts: "InsightEvent") -> "InsightEvent":
    return {**facts, "v": VERSION, "kind": "insight", "t": wall(), "pid": pid, "gen": gen}


def change_event(gen: int, method: str, route: str, requests: Sequence[int],
                 worse: bool) -> "ChangeEvent":
    """`requests` before and since the save; what is different is added."""
    return {"v": VERSION, "kind": "change", "t": wall(), "gen": gen, "method": method,
            "route": route, "requests": list(requests), "worse": worse}


def throttle_event(throttle: Dict[str, Any]) -> "ThrottleEvent":
    return {"v": VERSION, "kind": "throttle", "t": wall(), "throttle": throttle}


def mail_event(hold: bool) -> "MailEvent":
    return {"v": VERSION, "kind": "mail", "t": wall(), "hold": hold}


def past_event(requests: int, lines: int) -> "PastEvent":
    """So many requests and log lines there were before what comes now of the past."""
    return {"v": VERSION, "kind": "past", "t": wall(), "requests": requests, "lines": lines}


def earlier(message: Mapping[str, Any]) -> Dict[str, Any]:
    """A message that was sent to others before this viewer came."""
    return {**message, "earlier": True}


def stats_event(gen: int, totals: "Totals", rates: Dict[str, float],
                latency: Dict[str, float]) -> "StatsEvent":
    return {"v": VERSION, "kind": "stats", "t": wall(), "gen": gen, "totals": totals,
            "rates": rates, "latency": latency}


def command(seq: int, name: str, args: Mapping[str, Any]) -> "Command":
    return {"v": VERSION, "kind": "command", "seq": seq, "name": name, "args": dict(args)}


def done(message: Mapping[str, Any], result: Any) -> "Ack":
    """The Ack of a Command that was carried out."""
    return {"v": VERSION, "kind": "ack", "seq": message.get("seq", 0), "ok": True,
            "error": None, "result": result}


def refused(message: Mapping[str, Any], reason: object) -> "Ack":
    """The Ack of a Command that was not; a long reason is cut."""
    return {"v": VERSION, "kind": "ack", "seq": message.get("seq", 0), "ok": False,
            "error": str(reason)[:500]}


def frame(pid: int, gen: int, slot: int, seq: int, t: float,
          **contents: "Unpack[FrameContents]") -> "Frame":
    return {"v": VERSION, "kind": "frame", "pid": pid, "gen": gen, "slot": slot, "seq": seq,
            "t": t, **contents}


# -- between a supervisor and the process that started it


def launch(app: Mapping[str, Any], shown: str, settings: Mapping[str, Any], dev: bool,
           folder: str, home: str) -> Dict[str, Any]:
    """What to serve, see `tremolo.supervisor.wanted.Launch`: the first message."""
    return {"v": VERSION, "kind": "launch", "app": app, "shown": shown, "settings": settings,
            "dev": dev, "folder": folder, "home": home}


def cannot_begin(error: str) -> Dict[str, Any]:
    """It ends at once, and why."""
    return {"v": VERSION, "kind": "refused", "error": error}


# -- from the supervisor to a worker, over its control socket


def start(**facts: "Unpack[StartFacts]") -> Dict[str, Any]:
    """What to run: the first message of a process."""
    return {**facts, "v": VERSION, "kind": "start"}


def listeners(descriptions: "List[ListenerFacts]",
              error: Optional[str] = None) -> Dict[str, Any]:
    """Further listening sockets, which come with it, or why there are not all."""
    return {"v": VERSION, "kind": "listeners", "listeners": descriptions, "error": error}


def lend(slot: int, descriptions: "List[ListenerFacts]") -> Dict[str, Any]:
    """Sockets of another worker's slot to accept on, which come with it."""
    return {"v": VERSION, "kind": "lend", "slot": slot, "listeners": descriptions}


def take_back(slot: int) -> Dict[str, Any]:
    """The slot's own worker accepts again."""
    return {"v": VERSION, "kind": "return", "slot": slot}


def adopt() -> Dict[str, Any]:
    """Go on with a connection, which comes with it."""
    return {"v": VERSION, "kind": "adopt"}


# -- from a worker to the supervisor


def life(state: str, **facts: "Unpack[LifeFacts]") -> Dict[str, Any]:
    """A worker's state has changed, or something has become known of it."""
    return {**facts, "v": VERSION, "kind": "life", "state": state}


def handover() -> Dict[str, Any]:
    """An idle connection for a successor, which comes with it."""
    return {"v": VERSION, "kind": "handover"}


# -- between the supervisor and the zygote


def preload(id: int, **what: Any) -> Dict[str, Any]:
    """Modules to import ahead: `names` (`now`: before the next fork), or `steps` of a plan; or
    those that are `refused`."""
    return {**what, "v": VERSION, "kind": "preload", "id": id}


def fork(id: int, standby: bool) -> Dict[str, Any]:
    """The end of a worker's socket comes with it."""
    return {"v": VERSION, "kind": "fork", "id": id, "standby": standby}


def retire() -> Dict[str, Any]:
    """Leave once the last child has ended."""
    return {"v": VERSION, "kind": "retire"}


def forked(id: int, pid: Optional[int] = None, error: Optional[str] = None) -> Dict[str, Any]:
    return {"v": VERSION, "kind": "forked", "id": id, "pid": pid, "error": error}


def exited(pid: int, status: int) -> Dict[str, Any]:
    """A child has ended with a wait status."""
    return {"v": VERSION, "kind": "exited", "pid": pid, "status": status}


def spoiled(step: Mapping[str, Any], reason: str, detail: str, whole: bool) -> Dict[str, Any]:
    """A step could not be made; `whole`: it was tried in a process of its own."""
    return {"v": VERSION, "kind": "spoiled", "name": step.get("name"), "reason": reason,
            "detail": detail, "whole": whole, "keep": bool(step.get("keep"))}


def preloaded(id: int, count: int, failed: List[str], threads: int, ms: float) -> Dict[str, Any]:
    """All is imported up to what was asked for with this `id`; `threads` run beside the main
    one."""
    return {"v": VERSION, "kind": "preloaded", "id": id, "count": count, "failed": failed,
            "threads": threads, "ms": ms}
