"""permessage-deflate (RFC 7692): negotiation of its parameters, and the two directions.

Knows zlib and the extension's parameters; knows nothing of frames. Inflating is bounded: no
call makes more output than it was allowed, whatever the input claims.
"""

import zlib
from typing import Dict, List, Optional, Tuple, Union

#: what a message's compressed data loses at its end on the wire (section 7.2.1)
TAIL = b"\x00\x00\xff\xff"

# A message may consist of several deflate streams (section 7.2.3.4), which no known peer
# sends. Each costs a new decompressor and a copy of the rest, so their number is bounded.
_MAX_STREAMS = 8

_BITS = {b"%d" % bits: bits for bits in range(8, 16)}

#: an offer: (name, value or None) for each parameter, in wire order
Parameters = List[Tuple[bytes, Optional[bytes]]]


class DeflateConfig:
    """What the server wants of permessage-deflate.

    Window bits are 8 to 15 (the window has 2**bits bytes). Without context takeover no memory
    is held between messages: that of the server costs 32 KiB a connection, that of a client,
    whose window is known to be no wider than is wanted here, 12 KiB, for which neither side needs
    a new context for each of its messages. Messages shorter than `threshold` bytes are sent as
    they are. `level` and `memory_level` are those of `zlib.compressobj`; 3 is the last of the
    fast levels: without context, 6 takes up to 2.4 times as long for 3 % less (1 KiB of JSON) to
    13 % (64 KiB).
    """

    __slots__ = (
        "client_max_window_bits",
        "client_no_context_takeover",
        "level",
        "memory_level",
        "server_max_window_bits",
        "server_no_context_takeover",
        "threshold",
    )

    def __init__(
        self,
        *,
        server_no_context_takeover: bool = True,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int = 12,
        client_max_window_bits: int = 12,
        level: int = 3,
        memory_level: int = 5,
        threshold: int = 128,
    ) -> None:
        for bits in (server_max_window_bits, client_max_window_bits):
            if not 8 <= bits <= 15:
                raise ValueError(f"window bits must be from 8 to 15, not {bits}")
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.level = level
        self.memory_level = memory_level
        self.threshold = threshold


class DeflateParameters:
    """What both sides agreed on, with the other attributes of the config."""

    __slots__ = (*DeflateConfig.__slots__, "_named_client_bits", "_server_asked")

    def __init__(
        self,
        config: DeflateConfig,
        *,
        server_no_context_takeover: bool,
        client_no_context_takeover: bool,
        server_max_window_bits: int,
        client_max_window_bits: int,
        name_client_bits: bool,
        server_asked: bool,
    ) -> None:
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.level = config.level
        self.memory_level = config.memory_level
        self.threshold = config.threshold
        self._named_client_bits = name_client_bits
        self._server_asked = server_asked

    def field_value(self) -> bytes:
        """The value of Sec-WebSocket-Extensions in the response."""
        value = b"permessage-deflate"
        # A client that is told so, without having asked, makes a new context for each message.
        if self._server_asked:
            value += b"; server_no_context_takeover"
        if self.client_no_context_takeover:
            value += b"; client_no_context_takeover"
        if self.server_max_window_bits < 15:
            value += b"; server_max_window_bits=%d" % self.server_max_window_bits
        if self._named_client_bits and self.client_max_window_bits < 15:
            value += b"; client_max_window_bits=%d" % self.client_max_window_bits
        return value


def negotiate(config: DeflateConfig, offer: Parameters) -> Optional[DeflateParameters]:
    """Agree to one offer (section 7.1), or decline it with None.

    Declined, not refused: an unknown, repeated or invalid parameter spoils this offer alone.
    """
    given: Dict[bytes, Optional[bytes]] = {}
    for name, value in offer:
        if name in given:
            return None
        given[name] = value
    server_drops = b"server_no_context_takeover" in given
    client_drops = b"client_no_context_takeover" in given
    names_client_bits = b"client_max_window_bits" in given
    switches = (
        given.pop(b"server_no_context_takeover", None),
        given.pop(b"client_no_context_takeover", None),
    )
    server_bits = given.pop(b"server_max_window_bits", b"15")
    client_bits = given.pop(b"client_max_window_bits", None)
    if given or switches != (None, None) or server_bits not in _BITS:
        return None
    if client_bits is not None and client_bits not in _BITS:
        return None
    # A client that did not name the parameter may not be told to narrow its window.
    client_window = 15
    if names_client_bits:
        client_window = min(config.client_max_window_bits, _BITS[client_bits or b"15"])
    return DeflateParameters(
        config,
        server_no_context_takeover=config.server_no_context_takeover or server_drops,
        client_no_context_takeover=config.client_no_context_takeover or client_drops
        or client_window > config.client_max_window_bits,
        server_max_window_bits=min(config.server_max_window_bits, _BITS[server_bits]),
        client_max_window_bits=client_window,
        name_client_bits=names_client_bits,
        server_asked=server_drops,
    )


class TooLarge(Exception):
    """The output of a message is longer than allowed."""


class Inflater:
    """Decompresses the messages of one direction, piece by piece."""

    __slots__ = ("_bits", "_keep", "_stream", "_streams")

    def __init__(self, bits: int, keep_context: bool) -> None:
        self._bits = -bits  # negative: without zlib's header
        self._keep = keep_context
        self._stream: Optional[zlib._Decompress] = None
        self._streams = 0

    def inflate(self, data: Union[bytes, bytearray], room: int, last: bool) -> bytes:
        """The output for the next piece of a message's compressed data.

        `room` is how many bytes may come out; `last` marks the end of the message. Raises
        TooLarge beyond `room`, zlib.error for data that are not deflate.
        """
        # One byte more than allowed is asked for: zlib may hold back output once the limit is
        # met although it has consumed all its input, so an exact limit would prove nothing.
        stream = self._stream
        if stream is None:
            self._stream = stream = zlib.decompressobj(self._bits)
        output = stream.decompress(data + TAIL if last else data, room + 1)
        if stream.eof:
            output = self._next_streams(stream, output, room)
        if len(output) > room:
            raise TooLarge
        if last:
            self._streams = 0
            if not self._keep:
                self._stream = None
        return output

    def _next_streams(self, stream: "zlib._Decompress", output: bytes, room: int) -> bytes:
        """Go on after a block marked as the final one (section 7.2.3.4)."""
        rest = stream.unused_data
        while stream.eof and len(output) <= room:
            self._streams += 1
            if self._streams > _MAX_STREAMS:
                raise zlib.error("too many final blocks in a message")
            window = output[-32768:]
            self._stream = stream = zlib.decompressobj(self._bits, zdict=window)
            if not rest:
                break
            output += stream.decompress(rest, room + 1 - len(output))
            rest = stream.unused_data
        return output


# Compressors that have forgotten what they compressed (Z_FULL_FLUSH), by their arguments: a new
# one takes as long as to compress 1 KiB. Whoever compresses a message takes it out meanwhile.
_fresh: Dict[Tuple[int, ...], "zlib._Compress"] = {}


class Deflater:
    """Compresses the messages of one direction, piece by piece."""

    __slots__ = ("_arguments", "_stream", "keeps_context")

    def __init__(self, bits: int, keep_context: bool, level: int, memory_level: int) -> None:
        # zlib has no raw window of 256 bytes. With codes alone nothing refers back, which any
        # window allows (running lengths would do as well, but PyPy does not name them).
        strategy = zlib.Z_HUFFMAN_ONLY if bits == 8 else zlib.Z_DEFAULT_STRATEGY
        self._arguments = (level, zlib.DEFLATED, -max(bits, 9), memory_level, strategy)
        self.keeps_context = keep_context
        self._stream: Optional[zlib._Compress] = None

    def deflate(self, data: bytes, last: bool) -> bytes:
        """The compressed data for the next piece of a message; `last` marks its end."""
        stream = self._stream
        if stream is None:
            stream = _fresh.pop(self._arguments, None) or zlib.compressobj(*self._arguments)
        ends = last and not self.keeps_context
        self._stream = None if ends else stream
        output = stream.compress(data) + stream.flush(
            zlib.Z_FULL_FLUSH if ends else zlib.Z_SYNC_FLUSH)
        if ends:
            _fresh[self._arguments] = stream
        return output[:-4] if last else output
