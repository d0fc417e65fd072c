"""Commands that look at a running server, or at what one did: attach, open, log, stats."""

import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional

from ..exceptions import ConfigurationError
from ..telemetry.filters import FilterError, compile_filter
from .arguments import Parser
from .clients import client_parser

if TYPE_CHECKING:
    from ..supervisor.feed import Consumer

FULL = 2  # the level of detail with header fields and bodies
ROWS = 1


def attach(arguments: List[str]) -> int:
    """A second dashboard on a server that runs; leaving it leaves the server."""
    parser = client_parser("attach", "A dashboard on a running server, which q leaves running.")
    given = parser.parse_args(arguments)
    from ..dashboard import run_viewer
    from ..supervisor.running import connect, find

    feed = connect(find(given.address))
    try:
        return run_viewer(feed, {"guest": True})
    finally:
        feed.close()


def open_file(arguments: List[str]) -> int:
    """The dashboard with what a file holds."""
    parser = Parser(prog="tremolo open", allow_abbrev=False, description=(
        "Show a session that was written with w, the output of --json, or a HAR of a browser."))
    parser.add_argument("file", metavar="FILE", help="*.jsonl, or *.har")
    parser.add_argument("--to", metavar="URL", default="",
                        help="where requests are sent again; by default where they went to")
    given = parser.parse_args(arguments)
    if not os.path.isfile(given.file):
        raise ConfigurationError(f"{given.file} is no file")
    if given.to and not given.to.startswith(("http://", "https://")):
        raise ConfigurationError("--to is an address such as http://127.0.0.1:8000")
    from ..dashboard import run_viewer

    ours, theirs = socket.socketpair()  # a feed that nothing comes from
    try:
        return run_viewer(ours, {"recording": given.file,
                                 "addresses": [given.to] if given.to else []}, plain=False)
    finally:
        ours.close()
        theirs.close()


def log(arguments: List[str]) -> int:
    """Requests, errors and log lines of a running server, as they come."""
    parser = client_parser("log", "What a running server does from now on, a line each.")
    parser.add_argument("--follow", "-f", action="store_true",
                        help="go on until Ctrl+C (without it: for a second)")
    parser.add_argument("--filter", default="", metavar="TEXT",
                        help='requests as in the dashboard: "s:5xx ms>50 route:/api/*"')
    parser.add_argument("--json", action="store_true", help="as JSON lines")
    given = parser.parse_args(arguments)
    from ..supervisor.plain import JSONConsumer, PlainConsumer
    from ..supervisor.running import connect, find

    lets_through = _filter(given.filter)
    consumer: Consumer = JSONConsumer() if given.json else PlainConsumer(logs=not given.filter)
    deadline = None if given.follow else time.monotonic() + 1.0
    level = FULL if given.json or _needs_messages(given.filter) else ROWS
    with connect(find(given.address)) as feed:
        try:
            for message in _messages(feed, level, deadline, given.filter):
                if message["kind"] == "frame":
                    message = {**message, "rows": [
                        row for row in message.get("rows", ())
                        if lets_through(row, message)]}
                elif given.filter and message["kind"] not in ("ack", "hello"):
                    continue
                consumer.handle(message)
        except KeyboardInterrupt:
            return 0
    return 0


def stats(arguments: List[str]) -> int:
    """The exact counters of a running server, once or every second."""
    parser = client_parser("stats", "The counters of a running server.")
    parser.add_argument("--follow", "-f", action="store_true", help="a line a second")
    parser.add_argument("--json", action="store_true", help="as JSON")
    given = parser.parse_args(arguments)
    from ..supervisor.running import connect, find

    with connect(find(given.address)) as feed:
        try:
            for message in _messages(feed, 0, None):
                if message["kind"] != "stats":
                    continue
                print(json.dumps(message) if given.json else _stats_line(message), flush=True)
                if not given.follow:
                    return 0
        except (KeyboardInterrupt, BrokenPipeError):
            return 0
    return 1


def _stats_line(message: Mapping[str, Any]) -> str:
    totals, rates, latency = (message.get(name, {}) for name in ("totals", "rates", "latency"))
    status = totals.get("status") or [0] * 5
    from ..units import counted, format_latency

    quantiles = "  ".join(f"{name} {format_latency(latency.get(name, 0))}"
                          for name in ("p50", "p95", "p99"))
    return (f"{counted(totals.get('requests', 0), 'request')}  "
            f"{rates.get('requests', 0):.0f}/s  {quantiles}  4xx {status[3]}  5xx {status[4]}  "
            f"in {rates.get('bytes_in', 0):.0f} out {rates.get('bytes_out', 0):.0f} b/s  "
            f"open {totals.get('open', 0)} (ws {totals.get('websockets', 0)})")


def _messages(feed: socket.socket, level: int, deadline: Optional[float], looked_for: str = ""
              ) -> Iterator[Dict[str, Any]]:
    """What a viewer gets, until the server ends or the deadline passes; where not all requests
    can be shown, what it has `looked_for` with a filter before others."""
    from ..telemetry.builders import command
    from ..telemetry.channel import READ_SIZE
    from ..telemetry.codec import LineDecoder, encode

    decoder = LineDecoder()
    feed.sendall(encode(command(1, "detail", {"level": level})))
    if looked_for:
        feed.sendall(encode(command(2, "filter", {"filter": looked_for})))
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return
        feed.settimeout(left)
        try:
            data = feed.recv(READ_SIZE)
        except socket.timeout:
            return
        if not data:
            return
        for _, message in decoder.feed(data):
            yield message


def _filter(text: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], bool]:
    """Whether a row of a frame matches a filter of the dashboard's. Raises ConfigurationError."""
    if not text:
        return lambda row, frame: True
    try:
        from importlib import import_module

        traffic = import_module("tremolo_tui.model.traffic")
    except ImportError:
        raise ConfigurationError("--filter needs the dashboard: it is in tremolo_tui") from None
    try:
        matches = compile_filter(text)
    except FilterError as exc:
        raise ConfigurationError(f"--filter: {exc}\n  {text}\n  {' ' * exc.place}^") from None
    return lambda row, frame: bool(matches(traffic.Row(
        0, int(frame.get("pid", 0)), int(frame.get("gen", 0)), dict(row))))


def _needs_messages(text: str) -> bool:
    return any(word in text for word in ("h:", "b:", "body:", "header", "type:"))
