"""One message as it comes in: its frames joined, inflated and checked, within its limits.

Knows payloads without their masks; knows nothing of bytes on the wire, of control frames and of
closing. What is wrong with a message is a `Violation`, at the first possible byte.
"""

import zlib
from codecs import utf_8_decode
from typing import List, Optional, Union

from .deflate import DeflateParameters, Inflater, TooLarge
from .events import Fragment, Message
from .frames import BINARY, RSV1, TEXT

# Fragments shorter than this count for their limit: longer ones pay for themselves, and the
# message's size bounds them.
_COUNTED = 64

Payload = Union[bytes, bytearray]


class Violation(Exception):
    """What the peer sent is not allowed; the connection is to be closed with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class IncomingMessage:
    """The message begun, and the ones after it; see `WebSocketEngine` for the limits.

    For each data frame `begin` is to be called, then `add` with each part of its payload.
    """

    __slots__ = ("_carried", "_checked", "_compressed", "_frame_opcode", "_frames", "_inflater",
                 "_max_fragments", "_max_size", "_max_wire", "_message", "_parts", "_size",
                 "_wire", "fragments", "inflated", "opcode")

    def __init__(self, max_size: int, max_fragments: int, deflate: Optional[DeflateParameters],
                 client: bool, fragments: bool) -> None:
        self._max_size = max_size
        self._max_fragments = max_fragments
        # Deflate may make data longer; zlib's own bound is what an honest peer needs at most.
        # Only the output is ever stored, so this only ends a message that never grows.
        self._max_wire = max_size + (max_size >> 3) + 1024
        #: each frame is an event of its own
        self.fragments = fragments
        self._inflater: Optional[Inflater] = None
        if deflate is not None and client:
            self._inflater = Inflater(deflate.server_max_window_bits,
                                      not deflate.server_no_context_takeover)
        elif deflate is not None:
            self._inflater = Inflater(deflate.client_max_window_bits,
                                      not deflate.client_no_context_takeover)
        #: messages that were whole and had come compressed
        self.inflated = 0
        #: of the message begun, 0 when there is none
        self.opcode = 0
        self._frame_opcode = 0
        self._compressed = False
        self._frames = self._size = self._wire = 0
        self._message = bytearray()
        self._parts: List[Payload] = []  # of a binary message, in its place
        self._checked = 0  # how far it is known to be UTF-8
        self._carried = 0  # how far it was given out as fragments

    def drop(self) -> None:
        """Forget what there is of it."""
        self.opcode = 0
        self._message = bytearray()
        self._parts = []

    @property
    def inflated_size(self) -> int:
        """Bytes that the payload of the last message took on the wire, if `inflated` has counted
        it."""
        return self._wire

    def inflate(self, payload: Payload) -> bytes:
        """What a message says that came compressed, all of it in one frame. Raises Violation."""
        self._size = 0
        self._wire = len(payload)
        inflated = self._inflate(self._inflater, payload, True)  # type: ignore[arg-type]
        self.inflated += 1
        return inflated

    def begin(self, first: int, length: int) -> None:
        """A frame begins, with this first byte: the limits act here, before its payload is
        read. Raises Violation."""
        opcode = first & 15
        if opcode:
            self.opcode = opcode
            self._compressed = bool(first & RSV1)
            self._frames = self._size = self._wire = 0
        self._frame_opcode = opcode
        if length < _COUNTED:
            self._frames += 1
            if self._frames > self._max_fragments:
                limit = self._max_fragments
                raise Violation(1008, f"A message has more than {limit} short fragments.")
        self._wire += length
        if self._wire > (self._max_wire if self._compressed else self._max_size):
            raise self._too_long()

    def _too_long(self) -> Violation:
        return Violation(1009, f"A message is longer than {self._max_size} bytes.")

    def add(self, chunk: Payload, ended: bool, fin: bool) -> Union[Message, Fragment, None]:
        """Take a part of a frame's payload, which has `ended` if it is the last, in a frame
        that ends its message if it is `fin`. The event, if it is complete. Raises Violation."""
        last = ended and fin
        if last and not (self._parts or self._message or self._compressed or self.fragments):
            text, self.opcode = self.opcode == TEXT, 0  # all of it at once, as most are
            try:
                return Message(chunk.decode() if text else bytes(chunk))
            except UnicodeDecodeError:
                raise _not_utf8() from None
        if self._compressed and self._inflater is not None:
            chunk = self._inflate(self._inflater, chunk, last)
        if not self.fragments and (self.opcode == BINARY or (last and not self._message)):
            # Nothing looks at it before it is whole: joined once.
            if not last:
                self._keep(chunk)
                return None
            if self._parts:
                self._parts.append(chunk)
                chunk = b"".join(self._parts)
                self._parts = []
            return self._finish(chunk)
        if self.fragments:
            return self._fragment(chunk, ended, fin)
        self._message += chunk
        if last:
            return self._finish(self._message)
        if self.opcode == TEXT and not self._is_valid(False):
            raise _not_utf8()
        return None

    def _inflate(self, inflater: Inflater, chunk: Payload, last: bool) -> bytes:
        try:
            inflated = inflater.inflate(chunk, self._max_size - self._size, last)
        except TooLarge:
            raise self._too_long() from None
        except zlib.error:
            raise Violation(1007, "A compressed message cannot be inflated.") from None
        self._size += len(inflated)
        return inflated

    def _keep(self, chunk: Payload) -> None:
        """Keep a part of a binary message; short ones in one object, so that a message that
        comes byte by byte takes no more memory than another."""
        parts = self._parts
        if len(chunk) >= 4096:
            parts.append(chunk)
        elif parts and isinstance(parts[-1], bytearray):
            parts[-1] += chunk
        else:
            parts.append(bytearray(chunk))

    def _finish(self, payload: Payload) -> Message:
        """End the message begun; `payload` is all of it."""
        text = self.opcode == TEXT
        self.opcode = 0
        self._checked = 0
        self.inflated += self._compressed
        if payload is self._message:
            self._message = bytearray()
        if not text:
            return Message(bytes(payload))
        try:
            return Message(payload.decode())
        except UnicodeDecodeError:
            raise _not_utf8() from None

    def _is_valid(self, final: bool) -> bool:
        """Whether the message is UTF-8 as far as it goes; each byte is looked at once."""
        message = self._message
        try:
            if self._checked:
                with memoryview(message) as view, view[self._checked :] as unchecked:
                    self._checked += utf_8_decode(unchecked, "strict", final)[1]
            else:
                self._checked = utf_8_decode(message, "strict", final)[1]
        except UnicodeDecodeError:
            return False
        # CPython waits for a third byte before it refuses the head of a surrogate.
        at = self._checked
        return not (len(message) - at == 2 and message[at] == 0xED and message[at + 1] >= 0xA0)

    def _fragment(self, chunk: Payload, ended: bool, fin: bool) -> Optional[Fragment]:
        """Give out the frame if it is complete; `_message` ends with its payload so far."""
        self._message += chunk
        message, text = self._message, self.opcode == TEXT
        if text and not self._is_valid(ended and fin):
            raise _not_utf8()
        if not ended:
            return None
        data = bytes(memoryview(message)[self._carried :]) if self._carried else bytes(message)
        # What is left of text is the beginning of a character; the next frame goes on with it.
        self._message = message[self._checked :] if text else bytearray()
        self._carried = len(self._message)
        self._checked = 0
        if fin:
            self.opcode = 0
        return Fragment(data, self._frame_opcode, fin)


def _not_utf8() -> Violation:
    return Violation(1007, "A text message is not UTF-8.")
