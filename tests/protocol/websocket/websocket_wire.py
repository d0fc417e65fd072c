"""What the tests of the engine share: frames as a client would send them, and ways to cut."""

import zlib
from typing import Any, Iterator, List, Sequence, Tuple

from tremolo.protocol.websocket import (
    NEED_DATA,
    DeflateConfig,
    DeflateParameters,
    WebSocketEngine,
    serialize_frame,
)
from tremolo.protocol.websocket.deflate import negotiate

MASK = b"\x37\xfa\x21\x3d"
LIMIT = 1000


def frame(opcode: int, payload: bytes = b"", **flags: bool) -> bytes:
    """A masked frame; `fin`, `rsv1` as in serialize_frame."""
    return serialize_frame(opcode, payload, mask=MASK, **flags)


def agreed(**changes: Any) -> DeflateParameters:
    """Parameters of permessage-deflate as a server with this config would agree to."""
    parameters = negotiate(DeflateConfig(**changes), [(b"client_max_window_bits", None)])
    if parameters is None:
        raise ValueError("not acceptable")
    return parameters


def deflated(data: bytes, bits: int = 12) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def plain(event: Any) -> Tuple[Any, ...]:
    """An event as a tuple that can be compared: its class's name and its attributes."""
    return (type(event).__name__, *(getattr(event, name) for name in type(event).__slots__))


def run(engine: WebSocketEngine, segments: Sequence[bytes]) -> List[Tuple[Any, ...]]:
    """All events of the engine for these segments."""
    events = []
    for segment in segments:
        engine.receive_data(segment)
        while True:
            event = engine.next_event()
            if event is NEED_DATA:
                break
            events.append(plain(event))
    return events


def cuts(wire: bytes) -> Iterator[List[bytes]]:
    """`wire` whole, cut in two at every byte, and byte by byte."""
    yield [wire]
    for position in range(1, len(wire)):
        yield [wire[:position], wire[position:]]
    yield [wire[i : i + 1] for i in range(len(wire))]


def sent(engine: WebSocketEngine) -> bytes:
    return b"".join(engine.data_to_send())
