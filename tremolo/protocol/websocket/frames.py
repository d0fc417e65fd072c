"""Frames on the wire: heads and masking (RFC 6455 section 5).

Knows the bytes of one frame; knows nothing of messages, states or limits.
"""

import sys
from typing import List, Optional, Union

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

# Up to this many bytes one XOR of big integers is the fastest way to mask, above it four
# strided translations (CPython: 64 KiB in 80 us instead of 170; PyPy's integers are slower).
_XOR_LIMIT = 2048 if sys.implementation.name == "cpython" else 128

_from_bytes = int.from_bytes


def _mask_tables() -> List[bytes]:
    """256 tables for bytes.translate: table k maps each byte to itself XOR k."""
    identity = _from_bytes(bytes(range(256)), "little")
    return [
        (identity ^ _from_bytes(bytes((key,)) * 256, "little")).to_bytes(256, "little")
        for key in range(256)
    ]


_TABLES = _mask_tables()


def apply_mask(payload: bytes, mask: bytes) -> Union[bytes, bytearray]:
    """Mask or unmask `payload` with the four bytes of `mask` (section 5.3): its own inverse.

    The result is a new object of the same length, perhaps a bytearray when it is long.
    """
    length = len(payload)
    if length <= _XOR_LIMIT:
        key = _from_bytes((mask * ((length + 3) >> 2))[:length], "little")
        return (_from_bytes(payload, "little") ^ key).to_bytes(length, "little")
    masked = bytearray(length)
    first, second, third, fourth = mask
    masked[::4] = payload[::4].translate(_TABLES[first])
    masked[1::4] = payload[1::4].translate(_TABLES[second])
    masked[2::4] = payload[2::4].translate(_TABLES[third])
    masked[3::4] = payload[3::4].translate(_TABLES[fourth])
    return masked


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
