"""The engine against other implementations: what one sends, the other understands.

Runs of random messages, fragments and control frames, in both directions, with and without
compression, cut at random places.
"""

import random

import pytest

from tests.protocol.websocket.websocket_wire import agreed, run, sent
from tremolo.protocol.websocket import CONTINUATION, WebSocketEngine

SETTINGS = [
    None,
    {},
    {"server_no_context_takeover": False, "client_no_context_takeover": False},
    {"server_max_window_bits": 9, "client_max_window_bits": 15, "threshold": 0},
    {"server_max_window_bits": 15, "client_max_window_bits": 9, "level": 1},
]
IDS = ["plain", "default", "context", "narrow server", "narrow client"]


def payloads(source):
    """Random messages: lists of pieces of text or bytes, some of them long."""
    for _ in range(30):
        size = source.choice([0, 1, 10, 125, 126, 500, 5000, 70000])
        if source.random() < 0.5:
            alphabet = source.choice(["a", "ab \u00e9", "\u20ac\U0001f600x"])
            whole = "".join(source.choice(alphabet) for _ in range(size // 4))
        else:
            whole = bytes(source.randrange(source.choice([2, 256])) for _ in range(size))
        pieces = source.choice([1, 1, 1, 2, 5])
        marks = sorted(source.randrange(len(whole) + 1) for _ in range(pieces - 1))
        yield [whole[a:b] for a, b in zip([0, *marks], [*marks, len(whole)])]


def cut(source, wire):
    position = 0
    while position < len(wire):
        step = source.choice([1, 3, 100, 65536])
        yield wire[position : position + step]
        position += step


def send_with_engine(engine, pieces):
    opcode = 1 if isinstance(pieces[0], str) else 2
    if len(pieces) == 1:
        (engine.send_text if opcode == 1 else engine.send_bytes)(pieces[0])
        return
    for number, piece in enumerate(pieces):
        fin = number == len(pieces) - 1
        engine.send_fragment(piece, CONTINUATION if number else opcode, fin)


def joined(pieces):
    return pieces[0][:0].join(pieces)


class WebsocketsPeer:
    """websockets' Protocol, with the extension that matches our parameters."""

    def __init__(self, client, parameters):
        pytest.importorskip("websockets.protocol")
        from websockets.extensions.permessage_deflate import PerMessageDeflate
        from websockets.protocol import CLIENT, SERVER, Protocol

        self.protocol = Protocol(CLIENT if client else SERVER, max_size=1 << 20)
        if parameters is not None:
            ours = (parameters.client_no_context_takeover, parameters.client_max_window_bits)
            theirs = (parameters.server_no_context_takeover, parameters.server_max_window_bits)
            if not client:
                ours, theirs = theirs, ours
            self.protocol.extensions = [
                PerMessageDeflate(theirs[0], ours[0], theirs[1], ours[1])
            ]

    def send(self, pieces):
        first = True
        for number, piece in enumerate(pieces):
            fin = number == len(pieces) - 1
            data = piece.encode() if isinstance(piece, str) else piece
            if not first:
                self.protocol.send_continuation(data, fin)
            elif isinstance(piece, str):
                self.protocol.send_text(data, fin)
            else:
                self.protocol.send_binary(data, fin)
            first = False
        return b"".join(self.protocol.data_to_send())

    def receive(self, segments):
        found, text, parts = [], False, []
        for segment in segments:
            self.protocol.receive_data(segment)
        for frame in self.protocol.events_received():
            text = frame.opcode == 1 if frame.opcode else text
            parts.append(bytes(frame.data))
            if frame.fin:
                whole = b"".join(parts)
                found.append(whole.decode() if text else whole)
                parts = []
        assert self.protocol.parser_exc is None
        return found


class WsprotoPeer:
    """wsproto's Connection; it needs equal settings negotiated through its own extension."""

    def __init__(self, client, parameters):
        wsproto = pytest.importorskip("wsproto")
        from wsproto.connection import Connection, ConnectionType
        from wsproto.extensions import PerMessageDeflate

        extensions = []
        if parameters is not None:
            extension = PerMessageDeflate(
                parameters.client_no_context_takeover,
                parameters.client_max_window_bits,
                parameters.server_no_context_takeover,
                parameters.server_max_window_bits,
            )
            extension._enabled = True
            extensions.append(extension)
        self.events = wsproto.events
        self.connection = Connection(
            ConnectionType.CLIENT if client else ConnectionType.SERVER, extensions
        )

    def send(self, pieces):
        text = isinstance(pieces[0], str)
        kind = self.events.TextMessage if text else self.events.BytesMessage
        return b"".join(
            self.connection.send(kind(data=piece, message_finished=number == len(pieces) - 1))
            for number, piece in enumerate(pieces)
        )

    def receive(self, segments):
        found, parts = [], []
        for segment in segments:
            self.connection.receive_data(segment)
            for event in self.connection.events():
                part = event.data
                parts.append(part if isinstance(part, str) else bytes(part))
                if event.message_finished:
                    found.append(joined(parts))
                    parts = []
        return found


@pytest.mark.parametrize("settings", SETTINGS, ids=IDS)
@pytest.mark.parametrize("client", [False, True], ids=["we serve", "we ask"])
@pytest.mark.parametrize("peer_class", [WebsocketsPeer, WsprotoPeer])
def test_both_ends_understand_each_other(peer_class, client, settings):
    source = random.Random(f"{client}{settings}")
    parameters = None if settings is None else agreed(**settings)
    engine = WebSocketEngine(1 << 20, deflate=parameters, client=client)
    peer = peer_class(not client, parameters)
    for pieces in payloads(source):
        send_with_engine(engine, pieces)
        assert peer.receive(list(cut(source, sent(engine)))) == [joined(pieces)]
        wire = peer.send(pieces)
        assert run(engine, list(cut(source, wire))) == [("Message", joined(pieces))]
