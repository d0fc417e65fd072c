"""Requests and responses as they stand in rows: header fields, and the beginning of the body.

Bytes in, JSON values out (`HTTPMessage` in `tremolo.telemetry.rows`). Nothing is cleaned or
masked: what is here is enough to send a request again.
"""

from base64 import b64encode
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, List, Sequence, Tuple

from ..net.capture import Capture
from ..net.message_log import StreamMessage

if TYPE_CHECKING:
    from ..telemetry.rows import HTTPMessage, StreamMessageRow

#: bytes of JSON that the two messages of a row may take: a line has 64 KiB
MOST = 48 * 1024
#: bytes of JSON that the fields of one message may take: less than a quarter, so that what is
#: longer than half has a body to be shortened
FIELDS = 10 * 1024
#: bytes of JSON that a message takes beside its fields and its body, at most
FRAME = 100


def messages(capture: Capture, method: bytes, status: int, bytes_in: int,
             bytes_out: int) -> "Tuple[HTTPMessage, HTTPMessage, int]":
    """The request and the response of an ended exchange, and how many bytes of JSON they
    are: at most `MOST`."""
    if method == b"HEAD" or status == 101:  # nothing was sent, or frames were
        bytes_out = 0
        bytes_in = 0 if status == 101 else bytes_in
    request, request_size = _message(capture.request_fields, capture.request_body, bytes_in)
    response, response_size = _message(_fields(capture.response_head), capture.response_body,
                                       bytes_out)
    size = request_size + response_size
    bodies = [_body_size(request), _body_size(response)]
    while size + sum(bodies) > MOST:
        longer = bodies.index(max(bodies))
        message = (request, response)[longer]
        _shorten(message)
        bodies[longer] = _body_size(message)
    return request, response, size + sum(bodies)


def stream_message(message: StreamMessage, wall: float) -> "StreamMessageRow":
    """A message of a stream as it stands in frames (`StreamMessageRow`); `wall` is what to add to
    its instant for the wall clock."""
    row: StreamMessageRow = {
        "conn": message.connection, "id": message.exchange, "t": round(message.at + wall, 4),
        "in": message.incoming, "kind": message.kind, "size": message.size}
    if message.waited:
        row["waited"] = True
    if message.wire is not None:
        row["wire"] = message.wire
    try:
        row["text"] = message.data.decode()
    except UnicodeDecodeError as exc:
        if message.kind != "binary" and message.size > len(message.data) \
                and len(message.data) - exc.start < 4:
            row["text"] = message.data[:exc.start].decode()
        else:
            row["data64"] = b64encode(message.data).decode("ascii")
    return row


def stream_lines(taken: Sequence[StreamMessage], wall: float, most: int
                 ) -> "List[List[StreamMessageRow]]":
    """The messages of streams in groups of about `most` bytes of JSON."""
    lines: List[List[StreamMessageRow]] = []
    size = most
    for message in taken:
        entry = stream_message(message, wall)
        need = 160 + _size(entry.get("text", "")) + len(entry.get("data64", ""))
        if size + need > most:
            lines.append([])
            size = 256
        size += need
        lines[-1].append(entry)
    return lines


def _fields(head: bytes) -> List[Tuple[bytes, bytes]]:
    """The fields of a head that we wrote ourselves: one a line, ": " behind the name."""
    found = []
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b": ")
        found.append((name, value))
    return found


def _size(text: str) -> int:
    """The bytes of JSON that a text takes."""
    return len(encode_basestring_ascii(text))


def _body_size(message: "HTTPMessage") -> int:
    return _size(message.get("body", "")) + len(message.get("body64", ""))


def _message(fields: List[Tuple[bytes, bytes]], body: bytearray, size: int
             ) -> "Tuple[HTTPMessage, int]":
    """A message, and the bytes of JSON that it takes at most, without its body."""
    headers: List[List[str]] = []
    room, left_out = FIELDS, False
    for name, value in fields:
        field = [name.decode("latin-1"), value.decode("latin-1")]
        need = _size(field[0]) + _size(field[1]) + len('[, ], ')
        if need > room:
            left_out = True
            break
        room -= need
        headers.append(field)
    cut = size > len(body)
    message: HTTPMessage = {"headers": headers, "size": size, "cut": cut or left_out}
    if body:
        data = bytes(body)
        try:
            message["body"] = data.decode()
        except UnicodeDecodeError as exc:
            if cut and len(data) - exc.start < 4 and exc.reason == "unexpected end of data":
                message["body"] = data[:exc.start].decode()
            else:
                message["body64"] = b64encode(data).decode("ascii")
    return message, FRAME + FIELDS - room


def _shorten(message: "HTTPMessage") -> None:
    """Halve the body."""
    if "body" in message:
        message["body"] = _half(message["body"])
    else:
        message["body64"] = _half(message["body64"])
    message["cut"] = True


def _half(text: str) -> str:
    half = len(text) // 2
    return text[:half - half % 4]  # base64: four characters are three bytes
