"""Server-sent events as bytes: the event stream of the WHATWG HTML standard, section 9.2.

Knows one event at a time; the stream's headers and its pace are the caller's.
"""

from typing import Optional, Union

Text = Union[str, bytes]


def encode_event(
    data: Text,
    event: Optional[Text] = None,
    event_id: Optional[Text] = None,
    retry: int = 0,
) -> bytes:
    """One event, with the blank line that dispatches it; str is sent as UTF-8.

    CR, LF and CRLF each end a line of `data`, so the client gets LF for all of them. `retry`
    is the reconnection time in milliseconds, 0 leaves it out. Raises ValueError when `event`
    or `event_id` hold CR, LF or NUL, or when `retry` is negative: each would be another field,
    or be dropped in silence by the client.
    """
    # The fields follow the data, as always in Tremolo; to clients the order means nothing.
    pieces = [_lines(b"data: ", data)]
    if event is not None:
        pieces.append(b"event: " + _single_line(event, "event") + b"\n")
    if event_id is not None:
        pieces.append(b"id: " + _single_line(event_id, "event_id") + b"\n")
    if retry < 0:
        raise ValueError(f"retry must be a number of milliseconds from 0 on, got {retry}")
    if retry:
        pieces.append(b"retry: %d\n" % retry)
    pieces.append(b"\n")
    return b"".join(pieces)


def encode_comment(text: Text = b"") -> bytes:
    """A comment: dispatches nothing, keeps the connection and the proxies between awake."""
    return _lines(b": ", text) + b"\n"


def _lines(prefix: bytes, text: Text) -> bytes:
    text = _encode(text).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return prefix + text.replace(b"\n", b"\n" + prefix) + b"\n"


def _single_line(text: Text, what: str) -> bytes:
    text = _encode(text)
    if b"\n" in text or b"\r" in text or b"\0" in text:
        raise ValueError(f"{what} must not contain CR, LF or NUL, got {text!r}")
    return text


def _encode(text: Text) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else bytes(text)
