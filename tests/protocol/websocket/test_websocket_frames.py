"""Frame heads: RFC 6455 section 5.2."""

import pytest

from tremolo.protocol.websocket import serialize_frame
from tremolo.protocol.websocket.frames import frame_head


@pytest.mark.parametrize(
    "length, head",
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
        (2**63 - 1, "827f7fffffffffffffff"),
    ],
)
def test_the_length_takes_its_shortest_form(length, head):
    assert frame_head(0x82, length).hex() == head


# RFC 6455 section 5.7
@pytest.mark.parametrize(
    "wire, opcode, payload, options",
    [
        ("810548656c6c6f", 1, b"Hello", {}),
        ("818537fa213d7f9f4d5158", 1, b"Hello", {"mask": b"\x37\xfa\x21\x3d"}),
        ("010348656c", 1, b"Hel", {"fin": False}),
        ("80026c6f", 0, b"lo", {}),
        ("890548656c6c6f", 9, b"Hello", {}),
        ("8a8537fa213d7f9f4d5158", 10, b"Hello", {"mask": b"\x37\xfa\x21\x3d"}),
    ],
    ids=["text", "masked text", "first fragment", "last fragment", "ping", "masked pong"],
)
def test_the_examples_of_the_rfc(wire, opcode, payload, options):
    assert serialize_frame(opcode, payload, **options).hex() == wire
