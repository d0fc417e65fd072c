"""What is captured of one exchange for viewers: both heads, and where the bodies begin.

Knows bytes only; a module of its own, for an exchange and its request's body, which the exchange
imports, both add to one. Made for few exchanges at a time: see `Recent.captures_left`.
"""

from typing import List, Tuple

#: bytes that are captured of a body
CAPTURED = 16 * 1024


class Capture:
    """`request_fields` and the bytes of `response_head` are as they were sent; of both bodies the
    first 16 KiB."""

    __slots__ = ("request_body", "request_fields", "response_body", "response_head")

    def __init__(self, fields: List[Tuple[bytes, bytes]]) -> None:
        self.request_fields = fields
        self.request_body = bytearray()
        self.response_head = b""
        self.response_body = bytearray()

    @staticmethod
    def add(body: bytearray, data: bytes) -> None:
        """Capture `data`, the next piece of a body, as far as there is room."""
        room = CAPTURED - len(body)
        if room > 0:
            body += data[:room]
