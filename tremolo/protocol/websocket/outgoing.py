"""The sending half of a WebSocket endpoint: messages, control frames and closing.

Keeps the state of the connection, since closing is decided here. Knows nothing of what was
received. Nothing is sent by itself: frames wait until `data_to_send()` takes them.
"""

from os import urandom
from typing import List, Optional, Union

from .deflate import DeflateParameters, Deflater
from .events import StateError
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MASKED,
    MAX_CONTROL,
    PING,
    PONG,
    RSV1,
    TEXT,
    frame_head,
)
from .masking import apply_mask

#: messages may be sent and received
OPEN = 1
#: our close frame is sent, the peer's is awaited; data that still arrive are dropped
CLOSING = 2
#: nothing more is read: write what `data_to_send()` has, then end the connection
CLOSED = 3

#: close code for "none given": in an event, or to close without a code (section 7.1.5)
NO_CODE = 1005

# Pings that came in between two calls of data_to_send are answered up to this number; beyond
# it the last answer is replaced, so that the latest ping always has one (section 5.5.3).
_MAX_PONGS = 16

# Longer payloads are handed out beside their head, not copied behind it.
_JOIN_LIMIT = 16384

_TEXT_HEADS = tuple(frame_head(FIN | TEXT, length) for length in range(126))
_BINARY_HEADS = tuple(frame_head(FIN | BINARY, length) for length in range(126))


def is_close_code(code: int) -> bool:
    """Whether a close frame may carry `code` (section 7.4, and IANA's registry)."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


class Outgoing:
    """Turns messages into wire bytes; see WebSocketEngine."""

    __slots__ = (
        "_client",
        "_deflater",
        "_fragment_deflated",
        "_fragmenting",
        "_out",
        "_pongs",
        "_short_send",
        "_threshold",
        "deflated",
        "deflated_size",
        "state",
    )

    def __init__(self, deflate: Optional[DeflateParameters], client: bool) -> None:
        #: OPEN, CLOSING or CLOSED
        self.state = OPEN
        #: messages sent compressed so far, and the payload's bytes of the last one
        self.deflated = self.deflated_size = 0
        self._client = client
        self._out: List[bytes] = []
        self._pongs: List[bytes] = []
        self._deflater: Optional[Deflater] = None
        self._threshold = 0
        self._fragmenting = False
        self._fragment_deflated = False
        if deflate is not None:
            if client:
                bits = deflate.client_max_window_bits
                keep = not deflate.client_no_context_takeover
            else:
                bits = deflate.server_max_window_bits
                keep = not deflate.server_no_context_takeover
            self._deflater = Deflater(bits, keep, deflate.level, deflate.memory_level)
            self._threshold = deflate.threshold
        self._short_send = -1
        self._allow_short_sends()

    def _allow_short_sends(self) -> None:
        """Set up to which length a message needs no more than a head; -1: none does."""
        limit = _JOIN_LIMIT
        if self._deflater is not None:
            limit = min(limit, self._threshold - 1)
        usable = self.state == OPEN and not self._client and not self._fragmenting
        self._short_send = limit if usable else -1

    def send_text(self, text: str) -> None:
        """Send `text` as one message.

        Raises StateError unless the connection is open and no fragmented message is under way,
        UnicodeEncodeError (a ValueError) for lone surrogates.
        """
        payload = text.encode()
        length = len(payload)
        if length <= self._short_send:
            head = _TEXT_HEADS[length] if length < 126 else frame_head(FIN | TEXT, length)
            self._out.append(head + payload)
        else:
            self._send_message(TEXT, payload)

    def send_bytes(self, data: Union[bytes, bytearray, memoryview]) -> None:
        """Send `data` as one binary message; raises StateError as send_text does."""
        payload = data if type(data) is bytes else bytes(data)
        length = len(payload)
        if length <= self._short_send:
            head = _BINARY_HEADS[length] if length < 126 else frame_head(FIN | BINARY, length)
            self._out.append(head + payload)
        else:
            self._send_message(BINARY, payload)

    def send_fragment(
        self, data: Union[str, bytes, bytearray, memoryview], opcode: int, fin: bool
    ) -> None:
        """Send one frame of a message.

        `opcode` is TEXT or BINARY for the first and CONTINUATION for the others; `fin` marks
        the last. Text is not checked when given as bytes. Raises StateError for a frame out of
        turn, ValueError for another opcode.
        """
        if opcode not in (CONTINUATION, TEXT, BINARY):
            raise ValueError(f"{opcode} is no opcode of a data frame")
        self._need_open()
        if (opcode == CONTINUATION) is not self._fragmenting:
            raise StateError(
                "a fragmented message is under way" if opcode else "no message is under way"
            )
        payload = data.encode() if isinstance(data, str) else bytes(data)
        first = opcode | (FIN if fin else 0)
        if opcode:
            self._fragment_deflated = self._deflater is not None and (
                not fin or len(payload) >= self._threshold
            )
            if self._fragment_deflated:
                first |= RSV1
        if self._fragment_deflated and self._deflater is not None:
            payload = self._deflater.deflate(payload, fin)
        self._send_frame(first, payload)
        self._fragmenting = not fin
        self._allow_short_sends()

    def ping(self, data: bytes = b"") -> None:
        """Send a ping of at most 125 bytes; StateError unless open, ValueError if longer."""
        self._send_control(PING, data)

    def pong(self, data: bytes = b"") -> None:
        """Send a pong that nobody asked for: pings are answered by the engine itself."""
        self._send_control(PONG, data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close; the state becomes CLOSING. Without effect when already closing.

        `code` 1005 sends none at all. A `reason` that does not fit in a control frame is cut.
        Raises ValueError for a code that must not be sent.
        """
        if code != NO_CODE and not is_close_code(code):
            raise ValueError(f"{code} is not a close code that may be sent")
        if self.state == OPEN:
            self._send_close(code, reason)
            self._set_state(CLOSING)

    def data_to_send(self) -> List[bytes]:
        """Take what waits to be written: pieces in wire order, empty if there is nothing."""
        if self._pongs:
            self._send_pongs()
        out = self._out
        self._out = []
        return out

    def _set_state(self, state: int) -> None:
        self.state = state
        self._short_send = -1

    def _need_open(self) -> None:
        if self.state != OPEN:
            raise StateError("the WebSocket is closing or closed")

    def _send_message(self, opcode: int, payload: bytes) -> None:
        if self.state != OPEN:
            self._need_open()
        if self._fragmenting:
            raise StateError("a fragmented message is under way")
        first = FIN | opcode
        deflater = self._deflater
        if deflater is not None and len(payload) >= self._threshold:
            deflated = deflater.deflate(payload, True)
            # Without context the peer misses nothing when it gets the message as it is.
            if deflater.keeps_context or len(deflated) < len(payload):
                payload = deflated
                first |= RSV1
                self.deflated += 1
                self.deflated_size = len(deflated)
        self._send_frame(first, payload)

    def _send_control(self, opcode: int, data: bytes) -> None:
        self._need_open()
        if len(data) > MAX_CONTROL:
            raise ValueError(f"a control frame carries {MAX_CONTROL} bytes, not {len(data)}")
        self._send_frame(FIN | opcode, bytes(data))

    def _send_frame(self, first: int, payload: bytes) -> None:
        length = len(payload)
        if self._client:
            mask = urandom(4)
            head = frame_head(first, length, MASKED) + mask
            payload = bytes(apply_mask(payload, mask))
        else:
            head = frame_head(first, length)
        if length <= _JOIN_LIMIT:
            self._out.append(head + payload)
        else:
            self._out += (head, payload)

    def _send_pongs(self) -> None:
        pongs = self._pongs
        self._pongs = []
        if self.state == OPEN:
            for data in pongs:
                self._send_frame(FIN | PONG, data)

    def _answer_ping(self, data: bytes) -> None:
        if self.state == OPEN:
            if len(self._pongs) >= _MAX_PONGS:
                self._pongs.pop()
            self._pongs.append(data)

    def _send_close(self, code: int, reason: str) -> None:
        """Queue a close frame behind the answers to earlier pings; state must be OPEN."""
        self._send_pongs()
        payload = b""
        if code != NO_CODE:
            text = reason.encode("utf-8", "replace")
            if len(text) > MAX_CONTROL - 2:
                text = text[: MAX_CONTROL - 2].decode("utf-8", "ignore").encode()
            payload = code.to_bytes(2, "big") + text
        self._send_frame(FIN | CLOSE, payload)
