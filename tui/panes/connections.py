"""Open connections: who, in which state, how many bytes, how fast now, for how long."""

from typing import Any, List, Optional, Sequence, Tuple

from textual.binding import Binding

from ..draw import Column, Piece, fit, fitting, middle_cut, right
from ..model import text
from ..model.connections import Connection
from .lines import LinePane

_STATES = {"handling": "text", "sending": "good", "reading": "text", "websocket": "stream",
           "draining": "warning", "idle": "dim", "new": "dim"}

#: each with the blank before it
COLUMNS = (Column("STATE", 10, 0), Column("IN", 8, 5), Column("OUT", 8, 4), Column("RATE", 10, 1),
           Column("AGE", 7, 3))
AGES = 5.0  # seconds after which the ages of quiet connections are drawn again


class ConnectionsPane(LinePane):
    NUMBER = 3
    TITLE = "Connections"
    HEADS = 1
    PERIOD = 0.2

    BINDINGS = [
        Binding("x", "cut", "cut", id="connections.cut"),
        Binding("s", "sort", "sort", id="connections.sort"),
        Binding("S", "reverse", "reverse the order", show=False, id="connections.reverse"),
        Binding("enter", "throttle", "throttle this one", key_display="⏎",
                id="connections.throttle"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: List[Connection] = []

    def version(self) -> Any:
        connections = self.session.connections
        ages = int(self.session.clock() / AGES) if len(connections) else 0
        return (connections.revision, self.selected, ages)

    def _settle(self) -> None:
        self._connections = self.session.connections.list()
        super()._settle()

    def count(self) -> int:
        return len(self._connections)

    def key_at(self, index: int) -> Any:
        return self._connections[index].key

    def selected_connection(self) -> Optional[Connection]:
        return None if self.selected is None else self.session.connections.find(self.selected)

    def empty_text(self) -> str:
        return "no open connections"

    def title_end(self) -> str:
        connections = self.session.connections
        hidden = f" · {connections.left_out:,} more" if connections.left_out else ""
        order = connections.sort + (" reversed" if connections.reverse else "")
        return f"{len(connections):,} open{hidden} · by {order}"

    def _peer_width(self, width: int) -> int:
        return 21 if width >= 66 else 15

    def _columns(self, width: int) -> Tuple[Column, ...]:
        return fitting(COLUMNS, width - 1 - self._peer_width(width))

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        names = " " + fit("PEER", self._peer_width(width)) + "".join(
            " " + (fit if head == "STATE" else right)(head, cells - 1)
            for head, cells, _ in self._columns(width))
        if width >= 90:
            names += " " + right("REQS", 6) + "  NOW"
        return [(fit(names, width), self.style("head"))]

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        connection = self._connections[index]
        dim, plain = self.style("dim"), self.style("text")
        chosen = connection.key == self.selected
        state = _STATES.get(connection.state, "text")
        peer = self._peer_width(width)
        moving = connection.rate_in + connection.rate_out
        slowed = connection.throttled
        line: List[Piece] = [
            ("▌" if chosen else " ", self.style("key")),
            (fit(middle_cut(connection.peer, peer), peer), plain),
        ]
        values = {"IN": (text.size(connection.bytes_in), plain if connection.bytes_in else dim),
                  "OUT": (text.size(connection.bytes_out), plain),
                  "RATE": (("▼" if slowed else "") + text.rate(moving), self.style(
                      "warning" if slowed else "good" if moving >= 0.5 else "dim")),
                  "AGE": (text.age(connection.age), dim)}
        for head, cells, _ in self._columns(width):
            if head == "STATE":
                line.append((" " + fit(connection.state, cells - 1), self.style(state)))
            else:
                words, style = values[head]
                line.append((" " + right(words, cells - 1), style))
        if width >= 90:
            line += [(" ", None), (right(text.number(connection.requests), 6), dim),
                     ("  ", None), (connection.current, plain)]
        return line

    def refuses(self, action: str) -> bool:
        return action in ("cut", "throttle") and self.selected_connection() is None

    def action_sort(self) -> None:
        self.session.connections.cycle_sort()
        self.redraw()

    def action_reverse(self) -> None:
        self.session.connections.sort_by(self.session.connections.sort)
        self.redraw()

    def action_cut(self) -> None:
        connection = self.selected_connection()
        if connection is None:
            self.session.notify("select a connection first, then x cuts it", "warning")
            return
        self.session.commands.give("cut", {"pid": connection.pid, "conn": connection.id},
                                   f"cut connection {connection.id}")

    def action_throttle(self) -> None:
        connection = self.selected_connection()
        self.host.open_throttle(connection.scope if connection else None)
