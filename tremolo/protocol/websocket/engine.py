"""The WebSocket engine: bytes in, events out; messages in, bytes out (RFC 6455, RFC 7692).

Pulled, not pushing: after `receive_data` take `next_event()` until it is NEED_DATA, and write
`data_to_send()`. Whatever the peer sends, nothing is raised: a violation becomes a close frame
and one last event. Payloads are unmasked, inflated and checked as they arrive, so that faults
are found at the first possible byte and no limit is exceeded before it acts. Knows no clock.
"""

from collections import deque
from typing import Deque, Optional, Union

from .deflate import DeflateParameters
from .events import NEED_DATA, Close, Event, Failed, Message, Ping, Pong
from .frames import BINARY, CLOSE, FIN, MASKED, MAX_CONTROL, PING, PONG, TEXT
from .incoming import IncomingMessage, Violation
from .masking import apply_mask
from .outgoing import CLOSED, CLOSING, NO_CODE, OPEN, Outgoing, is_close_code

__all__ = ["CLOSED", "CLOSING", "OPEN", "WebSocketEngine"]

# First bytes that RFC 6455 allows: any FIN for data frames, FIN for control frames, no RSV.
_PLAIN_STARTS = frozenset((0x00, TEXT, BINARY, *(FIN | op for op in (0, 1, 2, 8, 9, 10))))
# RFC 7692 section 6: RSV1 on the first frame of a message.
_DEFLATE_STARTS = _PLAIN_STARTS | {0x41, 0x42, 0xC1, 0xC2}
# A whole message in one frame.
_PLAIN_WHOLES = frozenset((0x81, 0x82))
_DEFLATE_WHOLES = frozenset((0x81, 0x82, 0xC1, 0xC2))

_from_bytes = int.from_bytes


class WebSocketEngine(Outgoing):
    """One end of a WebSocket whose opening handshake is done.

    `max_message_size` bounds a message in bytes, after inflation and over all fragments;
    `max_fragments` its frames of less than 64 bytes. `deflate` is what the handshake agreed on.
    `client` makes it the end that masks. With `fragments` each data frame is an event of its own
    (Fragment) in place of one Message at the end.

    Close codes of violations: 1002 framing, 1007 data (UTF-8, deflate), 1008 too many
    fragments, 1009 size. Pings are answered and close frames echoed without being asked.
    """

    __slots__ = (
        "_data", "_eof", "_fin", "_in_frame", "_incoming", "_left", "_mask", "_mask_bit",
        "_max_size", "_pos", "_segments", "_short", "_starts", "_wholes", "control_frames",
    )

    def __init__(
        self,
        max_message_size: int,
        max_fragments: int = 1000,
        deflate: Optional[DeflateParameters] = None,
        client: bool = False,
        fragments: bool = False,
    ) -> None:
        super().__init__(deflate, client)
        #: pings and pongs received so far, for whoever limits them by the clock
        self.control_frames = 0
        self._max_size = max_message_size
        self._incoming = IncomingMessage(
            max_message_size, max_fragments, deflate, client, fragments)
        self._mask_bit = 0 if client else MASKED
        self._starts = _PLAIN_STARTS if deflate is None else _DEFLATE_STARTS
        self._wholes = _PLAIN_WHOLES if deflate is None else _DEFLATE_WHOLES
        # Input: the segment being read and where in it, then those that came meanwhile.
        self._data = b""
        self._pos = 0
        self._segments: Deque[bytes] = deque()
        self._eof = False
        # The data frame begun: payload bytes to come, its mask turned to the next of them.
        self._in_frame = self._fin = False
        self._left = 0
        self._mask = b""
        # Longest frame that next_event may take the short way; -1 for none.
        self._short = 0
        self._allow_short()

    @property
    def inflated(self) -> int:
        """Messages received so far that had come compressed, as far as each was one event."""
        return self._incoming.inflated

    @property
    def inflated_size(self) -> int:
        """The payload's bytes on the wire of the last message, once `inflated` has counted it."""
        return self._incoming.inflated_size

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; they are kept, not copied. Never raises."""
        if self._data or self._segments:
            self._segments.append(data)
        elif self.state != CLOSED:
            self._data = data
            self._pos = 0

    def receive_eof(self) -> None:
        """The peer will send no more; after what it sent comes Close(1006), if not closed."""
        self._eof = True

    @property
    def buffered(self) -> int:
        """Bytes received that no event has used yet."""
        return len(self._data) - self._pos + sum(len(data) for data in self._segments)

    @property
    def pending(self) -> bool:
        """Whether `next_event` may have more to tell."""
        return bool(self._data or self._segments or self._eof)

    def next_event(self) -> Event:
        """The next thing that the peer sent, or NEED_DATA. Never raises."""
        data = self._data
        if not data and not self._segments and not self._eof:
            return NEED_DATA
        # A whole message in one frame, written out: for short ones 2.5 times faster than the
        # general way.
        pos = self._pos
        size = len(data)
        if size - pos > 5:
            first = data[pos]
            length = data[pos + 1] - MASKED
            start = pos + 6
            if length == 126:
                start += 2
                length = data[pos + 2] << 8 | data[pos + 3]
                if length < 126:
                    length = -1
            elif length == 127:
                start += 8
                length = _from_bytes(data[pos + 2 : pos + 10], "big")
                if length < 65536:
                    length = -1
            end = start + length
            if 0 <= length <= self._short and end <= size and first in self._wholes:
                mask = data[start - 4 : start]
                payload: Union[bytes, bytearray]
                if length > MAX_CONTROL:
                    payload = apply_mask(data[start:end], mask)
                else:
                    key = _from_bytes((mask * 32)[:length], "little")
                    payload = (_from_bytes(data[start:end], "little") ^ key).to_bytes(
                        length, "little"
                    )
                if end == size:
                    self._data = b""
                    self._pos = 0
                else:
                    self._pos = end
                try:
                    if first > 0x82:
                        payload = self._incoming.inflate(payload)
                    if first & 2:
                        return Message(bytes(payload))
                    return Message(payload.decode())
                except Violation as fault:
                    return self._fail(fault.code, fault.reason)
                except UnicodeDecodeError:
                    return self._fail(1007, "A text message is not UTF-8.")
        while True:
            event = self._read_payload() if self._in_frame else self._read_head()
            if event is not None:
                return event

    def fail(self, code: int, reason: str = "") -> None:
        """Close for a reason that the engine cannot see, as a flood or silence.

        As `close`, but the peer is not listened to any more: the state becomes CLOSED.
        Raises ValueError for a code that must not be sent.
        """
        self.close(code, reason)
        self._end()

    def _fail(self, code: int, reason: str) -> Failed:
        if self.state == OPEN:
            self._send_close(code, reason)
        self._end()
        return Failed(code, reason)

    def _end(self) -> None:
        """Nothing that follows is looked at."""
        self._set_state(CLOSED)
        self._data = b""
        self._pos = 0
        self._segments.clear()
        self._in_frame = False
        self._incoming.drop()

    def _allow_short(self) -> None:
        usable = self._mask_bit and not self._incoming.fragments
        self._short = self._max_size if usable else -1

    def _set_state(self, state: int) -> None:
        super()._set_state(state)
        self._short = -1

    def _more(self) -> Optional[Event]:
        """Go on with the next segment behind the rest of this one (a part of a head, or of a
        control frame: at most 131 bytes), or ask for data."""
        rest = self._data[self._pos :]
        self._pos = 0
        if self._segments:
            self._data = rest + self._segments.popleft()
            return None
        self._data = rest
        if self._eof and self.state != CLOSED:
            self._end()
            return Close(1006)
        return NEED_DATA

    def _read_head(self) -> Optional[Event]:
        """Read the head of a frame; of a control frame all."""
        data = self._data
        pos = self._pos
        size = len(data)
        if size - pos < 2:
            return self._more()
        first = data[pos]
        second = data[pos + 1]
        control = first & 8
        length = second & 127
        if (
            first not in self._starts
            or second & MASKED != self._mask_bit
            or (length > MAX_CONTROL if control
                else (first & 15 == 0) is (self._incoming.opcode == 0))
        ):
            return self._fail(1002, self._fault(first, second))
        start = pos + 2
        if length > 125:
            start += 2 if length == 126 else 8
            if size < start:
                return self._more()
            shortest = 126 if length == 126 else 65536
            length = _from_bytes(data[pos + 2 : start], "big")
            if length < shortest:
                return self._fail(1002, "A frame's length is not in its shortest form.")
            if length >> 63:
                return self._fail(1002, "A frame's length is beyond 63 bits.")
        if self._mask_bit:
            start += 4
        if size < (start + length if control else start):
            return self._more()
        mask = data[start - 4 : start] if self._mask_bit else b""
        self._pos = start
        if not control:
            return self._begin_frame(first, length, mask)
        payload = data[start : start + length]
        self._pos = start + length
        if self._pos == size:
            self._data = b""
            self._pos = 0
        if mask and payload:
            payload = bytes(apply_mask(payload, mask))
        return self._read_control(first & 15, payload)

    def _fault(self, first: int, second: int) -> str:
        """Say what is wrong with the first two bytes of a frame (section 5.2)."""
        opcode = first & 15
        if first & 0x70 and first & ~0x70 in self._starts:
            return "A frame has a reserved bit set that was not agreed on."
        if opcode not in (0, TEXT, BINARY, CLOSE, PING, PONG):
            return f"Opcode {opcode} is reserved."
        if second & MASKED != self._mask_bit:
            return "A frame is not masked." if self._mask_bit else "A frame is masked."
        if opcode & 8:
            return "A control frame is fragmented or longer than 125 bytes."
        if opcode:
            return "A message begins before the last one ended."
        return "A continuation frame continues nothing."

    def _read_control(self, opcode: int, payload: bytes) -> Optional[Event]:
        if opcode != CLOSE:
            self.control_frames += 1
            if opcode == PONG:
                return Pong(payload)
            self._answer_ping(payload)
            return Ping(payload)
        code = NO_CODE
        reason = ""
        if payload:
            code = _from_bytes(payload[:2], "big")
            if len(payload) < 2 or not is_close_code(code):
                return self._fail(1002, "A close frame has an invalid code.")
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                return self._fail(1007, "The reason of a close frame is not UTF-8.")
        if self.state == OPEN:
            self._send_close(code, "")
        self._end()
        return Close(code, reason)

    def _begin_frame(self, first: int, length: int, mask: bytes) -> Optional[Event]:
        """Begin to read a data frame."""
        self._short = -1
        self._fin = first >= FIN
        self._in_frame = True
        self._left = length
        self._mask = mask
        try:
            self._incoming.begin(first, length)
        except Violation as fault:
            if self.state == OPEN:  # CLOSING: dropped unread, however much it is
                return self._fail(fault.code, fault.reason)
        return None

    def _read_payload(self) -> Optional[Event]:
        """Read what there is of a data frame's payload."""
        data = self._data
        pos = self._pos
        size = len(data)
        end = pos + self._left
        if end > size and not data:
            return self._more()
        piece = data[pos:end]
        if end >= size:
            self._data = b""
            self._pos = 0
            self._left = end - size
        else:
            self._pos = end
            self._left = 0
        ended = not self._left
        if ended:
            self._in_frame = False
        if self.state != OPEN:  # CLOSING: dropped unread
            if ended and self._fin:
                self._incoming.drop()
            return None
        chunk: Union[bytes, bytearray] = piece
        if self._mask and piece:
            chunk = apply_mask(piece, self._mask)
            if not ended:
                turn = (size - pos) & 3
                self._mask = self._mask[turn:] + self._mask[:turn]
        try:
            event = self._incoming.add(chunk, ended, self._fin)
        except Violation as fault:
            return self._fail(fault.code, fault.reason)
        if ended and self._fin:
            self._allow_short()
        return event
