"""Frames on the wire (RFC 6455 section 5).

Knows the bytes of one frame; knows nothing of messages, states or limits.
"""

from typing import Optional

from .masking import apply_mask

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FIN = 0x80
RSV1 = 0x40
MASKED = 0x80

#: bytes that the payload of a control frame may have (section 5.5)
MAX_CONTROL = 125

def frame_head(first: int, length: int, masked: int = 0) -> bytes:
    """The head of a frame without its masking key.

    `first` is the first byte (FIN, RSV, opcode), `masked` is MASKED or 0. The length takes the
    shortest form, as section 5.2 demands.
    """
    if length < 126:
        return bytes((first, masked | length))
    if length < 65536:
        return bytes((first, masked | 126, length >> 8, length & 255))
    return bytes((first, masked | 127)) + length.to_bytes(8, "big")


def serialize_frame(
    opcode: int,
    payload: bytes,
    *,
    fin: bool = True,
    rsv1: bool = False,
    mask: Optional[bytes] = None,
) -> bytes:
    """One whole frame; with the four bytes of `mask` given, masked with them.

    Nothing is validated: whether the frame makes sense is the caller's business.
    """
    first = opcode | (FIN if fin else 0) | (RSV1 if rsv1 else 0)
    if mask is None:
        return frame_head(first, len(payload)) + payload
    return frame_head(first, len(payload), MASKED) + mask + apply_mask(payload, mask)
