"""The tabs of a request in the detail: which there are for it, and which one matters most."""

import os
from typing import List, Optional, Sequence

from rich.cells import cell_len

from tremolo.units import counted

from ..draw import Piece, fit, found_in, wrapped, wrapped_pieces
from ..model import text
from ..model.conversations import CONTROL, Conversation, StreamMessage
from ..model.export import curl
from ..model.messages import masked
from ..model.parts import cookies_of
from ..model.session import Session
from ..model.traffic import IN_PLACE, Row
from .page import Lines, Page, Styled, Wrapped, fact, heading

ALL = "All"
#: the parts of a request's time, and their colours
PARTS = {"queue": "moved", "app": "second", "SQL": "query", "outgoing": "link", "send": "dim",
         "throttle": "warning"}
MESSAGE_LINES = 60  # of one message, where it is shown whole
ROOM_FOR_SIZES = 60  # cells, from which on a message has its size and the exact time beside it


def names_for(session: Session, row: Row, error: bool, pinned: bool) -> List[str]:
    """The tabs in their order; the first is what matters most about this request."""
    talk = session.conversations.of(row.pid, row.id) if row.id else None
    names = ["Trace"] if error else []
    if row.stream or talk is not None:
        names.append("Messages")
    if row.response is not None and row.response.size != 0 and not row.websocket:
        names.append("Response")
    if row.request is not None and row.request.size != 0 and not row.websocket:
        names.append("Request")
    if row.request is not None or row.response is not None:
        names.append("Headers")
    if any(cookies_of(message) for message in (row.request, row.response) if message):
        names.append("Cookies")
    names.append("Timing")
    facts = session.insight.of(row.pid, row.id) if row.id else None
    if facts is not None and (facts.query_count or facts.waited_ms >= 1):
        names.append("SQL")
    if facts is not None and facts.call_count:
        names.append("Calls")
    if facts is not None and facts.flame:
        names.append("Flame")
    if pinned:
        names.append("Pin")
    if row.id and session.log.of_request(row.pid, row.id):
        names.append("Log")
    return [*names, "Curl", ALL]


def tab_pieces(pane: Styled, names: Sequence[str], chosen: str, width: int) -> List[Piece]:
    """The row of tabs; those around the chosen one if there is no room for all."""
    at = names.index(chosen) if chosen in names else 0
    first = 0
    while first < at and sum(len(name) + 2 for name in names[first:at + 1]) > width - 3:
        first += 1
    pieces: List[Piece] = [("‹" if first else " ", pane.style("faint"))]
    for name in names[first:]:
        if sum(cell_len(part) for part, _ in pieces) + len(name) + 3 > width:
            pieces.append(("›", pane.style("faint")))
            break
        pieces.append((f" {name} ", pane.style("tab" if name == chosen else "dim")))
    return pieces


# -- single tabs

def timing_lines(pane: Page, row: Row, width: int) -> Lines:
    """A bar for each phase, on one scale; then who served it, and how much it was."""
    lines: Lines = []
    if row.state in ("live", "over"):
        lines.append(fact(pane, "rate now", text.rate(row.rate)))
    else:
        lines += _time_bar(pane, row, width)
    protocol = "WebSocket" if row.http == "ws" else "HTTP/" + row.http
    lines += [
        [], fact(pane, "at", text.clock(row.t, fraction=True) + (f"  #{row.id}" if row.id
                                                                  else "")),
        fact(pane, "sizes", f"in {text.size(row.bytes_in)} · out {text.size(row.bytes_out)}"),
        fact(pane, "served by", f"pid {row.pid} · gen {row.gen} · conn {row.conn} · "
                                f"{'TLS · ' if row.secure else ''}{protocol}")]
    if row.held_ms >= 1:
        lines.append(fact(pane, "held", f"{text.millis(row.held_ms)} ms before that, by hand"))
    if row.peer:
        lines.append(fact(pane, "client", row.peer))
    if row.proxied:
        lines.append(fact(pane, "proxied", f"{row.proxied} answered") if "://" in row.proxied
                     else fact(pane, "answered", IN_PLACE.get(row.proxied, row.proxied)
                               + ", not by the application"))
    if row.route and row.route != row.path:
        lines.append(fact(pane, "route", row.route))
    if row.endpoint is not None:
        at = f"{os.path.basename(row.endpoint.file)}:{row.endpoint.line}"
        lines.append(fact(pane, "handler", f"{row.endpoint.name}  {at}  ",
                          ("e", pane.style("key")), (" opens it", pane.style("dim"))))
    if row.unobserved:
        lines.append(fact(pane, "within", "not looked into: too many requests came at once"))
    if row.crowded:
        lines.append(fact(pane, "meanwhile", "other processes wanted the processor, too"))
    if row.weight > 1:
        lines.append(fact(pane, "one of",
                          f"about {text.number(round(row.weight))} like it, the others unlisted"))
    return lines


def _time_bar(pane: Page, row: Row, width: int) -> Lines:
    """One bar of all parts of the time, and a line that names each of them."""
    whole, room, start, used = max(row.ms, 0.001), max(10, width - 2), 0.0, 0
    bar: List[Piece] = [(" ", None)]
    named: List[Piece] = []
    for name, ms in row.parts:
        start += ms
        end = max(used + (ms > 0.05), round(start / whole * room))
        cells = max(0, min(end, room) - used)
        used += cells
        bar.append(("━" * cells, pane.style(PARTS[name])))
        if ms > 0.05 or name == "app":
            named += [(" ━ ", pane.style(PARTS[name])), (f"{name} ", pane.style("dim")),
                      (f"{text.millis(ms)} ms ", pane.style("text"))]
    return [bar, *wrapped_pieces(named, width - 1, 1)]


def flame_lines(pane: Page, row: Row, width: int) -> Lines:
    """The sampled stacks of a slow request: each call with its share of the samples."""
    facts = pane.session.insight.of(row.pid, row.id) if row.id else None
    if facts is None or not facts.flame:
        return []
    whole = max(1, sum(node.samples for node in facts.flame if node.depth == 0))
    about = "about " if facts.every_ms > 10 else ""  # they become rarer
    note = f"{facts.samples} samples, {about}one each {facts.every_ms:g} ms"
    lines: Lines = [*heading(pane, "Flame", note, width)]
    for node in facts.flame:
        cells = max(1, round(12 * node.samples / whole))
        lines.append([(f" {100 * node.samples / whole:3.0f} % ", pane.style("text")),
                      ("█" * cells + " " * (13 - cells), pane.style("warning")),
                      ("  " * min(node.depth, 20), None), (node.label, pane.style("text"))])
    return lines


def cookie_lines(pane: Styled, row: Row, width: int, reveal: bool) -> Lines:
    lines: Lines = []
    for whose, message in (("sent", row.request), ("set", row.response)):
        found = cookies_of(message) if message is not None else []
        if not found:
            continue
        lines += [*([[]] if lines else []), *heading(pane, whose, _hint(reveal), width)]
        for name, value, attributes in found:
            shown = text.clean(value, text.MAX_LINE) if reveal else masked(value)
            pieces: List[Piece] = [(" ", None), (text.clean(name, 80), pane.style("link")),
                                   (" = ", pane.style("dim")), (shown, pane.style("text"))]
            if attributes:
                pieces.append(("  " + text.clean(attributes), pane.style("dim")))
            lines += wrapped_pieces(pieces, width - 1, 3)
    return lines


def _hint(reveal: bool) -> str:
    return "v masks them" if reveal else "v shows them"


def curl_lines(pane: Page, row: Row, width: int, reveal: bool, most: int) -> Lines:
    command = curl(row, pane.session.addresses, mask=not reveal)
    lines = [part for line in text.clean_lines(command)
             for part in wrapped(line, width - 2, most)]
    if len(lines) > most:
        lines[most:] = ["…"]
    return [[(" ", None), (part, pane.style("text"))] for part in lines]


# -- messages of WebSockets and event streams

def message_lines(pane: Page, row: Row, width: int, whole: bool, control: bool,
                  words: Sequence[str]) -> Lines:
    """All messages, the newest at the end; pings and pongs only with `control`."""
    talk = pane.session.conversations.of(row.pid, row.id) if row.id else None
    since = pane.session.past.since
    late = since if since is not None and row.t < since else None  # it ran before we came
    if talk is None or not talk.messages:
        words = " no message was seen while the dashboard looked"
        if row.state == "live":
            words = " no message yet" if late is None else f" no message since {text.clock(late)}"
        return [[(words, pane.style("dim"))]]
    lines: Lines = [_summary(pane, talk, control, late)]
    for message in talk.messages:
        if message.kind in CONTROL and not control:
            continue
        lines += _message(pane, message, width, whole, words)
    return lines


def _summary(pane: Page, talk: Conversation, control: bool, late: Optional[float]) -> Wrapped:
    dim, stream = pane.style("dim"), pane.style("stream")
    pieces: List[Piece] = [(f" ↑ {talk.received:,}", stream), (" in  ", dim),
                           (f"↓ {talk.sent:,}", stream), (" out", dim)]
    if talk.waited:
        pieces.append((f"   {talk.waited:,} waited: the client or the throttle was full",
                       pane.style("warning")))
    hidden = sum(message.kind in CONTROL for message in talk.messages)
    if hidden and not control:
        pieces += [("   ", dim), ("h", pane.style("key")),
                   (f" shows {counted(hidden, 'ping')}", dim)]
    if talk.wire:
        pieces.append((f"   {text.size(talk.size)} as {text.size(talk.wire)} on the wire", dim))
    lost = talk.forgotten
    if lost:
        pieces.append((f"   the first {lost:,} are forgotten", dim))
    if pane.session.conversations.left_out:
        pieces.append((f"   {pane.session.conversations.left_out:,} not listed", dim))
    if late is not None:
        pieces.append((f"   those before {text.clock(late)} were not seen here", dim))
    return Wrapped(pieces)


def _message(pane: Styled, message: StreamMessage, width: int, whole: bool,
             words: Sequence[str]) -> Lines:
    arrow = "↑" if message.incoming else "↓"
    control = message.kind not in ("text", "event")
    kind = {"text": "", "event": ""}.get(message.kind, message.kind + " ")
    wide = width >= ROOM_FOR_SIZES
    lead: List[Piece] = [(f" {text.clock(message.t, wide)} ", pane.style("dim")),
                         (arrow + " ", pane.style("stream")),
                         (f"{text.size(message.size):>7} " if wide else "", pane.style("dim")),
                         (kind, pane.style("moved"))]
    if message.wire is not None and wide:
        lead.insert(3, (f"{f'({text.size(message.wire)})':>9} ", pane.style("dim")))
    if message.waited:
        lead.append(("waited ", pane.style("warning")))
    start = sum(cell_len(part) for part, _ in lead)
    room = max(8, width - start - 1)
    source = message.lines(pretty=whole)
    style = pane.style("dim" if control else "text")
    if not whole:
        more = len(source) > 1 or message.known < message.size
        line = text.clean(" ".join(source), 2000)
        shown = fit(line, room) if cell_len(line) > room else line + (" …" if more and len(
            source) > 40 else "")
        body: List[Piece] = [(shown, style)]
        return [[*lead, *(found_in(body, words, pane.style("found")) if words else body)]]
    lines: Lines = []
    for raw in source[:MESSAGE_LINES]:
        for part in wrapped(text.clean(raw, text.MAX_LINE), room):
            pieces: List[Piece] = [(part, style)]
            if words:
                pieces = found_in(pieces, words, pane.style("found"))
            lines.append([*(lead if not lines else [(" " * start, None)]), *pieces])
    if message.wire is not None:
        note = f"{text.size(message.size)}, compressed to {text.size(message.wire)} on the wire"
        lines.append([(" " * start, None), (note, pane.style("dim"))])
    if message.known < message.size:
        note = f"the first {text.size(message.known)} of {text.size(message.size)}"
        lines.append([(" " * start, None), (note, pane.style("warning"))])
    return lines
