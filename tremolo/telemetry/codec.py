"""Messages as JSON lines: one object a line, at most `MAX_LINE` bytes, never trusted.

Pure: bytes in, messages out. `LineDecoder` refuses what is too long, not JSON, not an object
or of another version with a `CodecError`; the reader closes that channel then.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False  # a supervisor at rest is without typing
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, NoReturn, Tuple

VERSION = 1
MAX_LINE = 64 * 1024


class CodecError(ValueError):
    """Bytes that are no message of ours; the text names what is wrong with them."""


_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def encode(message: Mapping[str, Any]) -> bytes:
    """One line with its line feed. Raises CodecError when it is too long, or no JSON."""
    try:
        line = _dumps(message).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as exc:
        raise CodecError(f"a message that JSON cannot carry: {exc}") from None
    if len(line) > MAX_LINE:
        raise CodecError(f"a line of {len(line)} bytes; at most {MAX_LINE} are allowed")
    return line


def encode_cut(message: Mapping[str, Any]) -> bytes:
    """As `encode`, but shortens the message's texts until it fits, longest first.

    For events and answers, which must arrive; whatever still does not fit is replaced by a
    message of the same kind without them.
    """
    copy: Dict[str, Any] = dict(message)
    for _ in range(8):
        try:
            return encode(copy)
        except CodecError:
            longest, length = "", 512
            for key, value in copy.items():
                if isinstance(value, str) and len(value) > length:
                    longest, length = key, len(value)
            if not longest:
                break
            half = length // 4
            copy[longest] = copy[longest][:half] + " \u2026 " + copy[longest][-half:]
    stub = {key: copy[key] for key in ("v", "kind", "seq", "t", "pid", "gen", "ok", "state")
            if isinstance(copy.get(key), (int, float, bool, str))}
    stub["error" if copy.get("kind") == "ack" else "text"] = "too long to be sent"
    return encode(stub)


def _refuse_constant(name: str) -> NoReturn:
    raise CodecError(f"{name} is not JSON")


def decode(line: bytes) -> Dict[str, Any]:
    """The message of one line. Raises CodecError; the result has a `kind` and our version."""
    if len(line) > MAX_LINE:
        raise CodecError(f"a line of {len(line)} bytes; at most {MAX_LINE} are allowed")
    try:
        message = json.loads(line, parse_constant=_refuse_constant)
    except CodecError:
        raise
    except (ValueError, RecursionError) as exc:
        raise CodecError(f"not JSON: {type(exc).__name__}") from None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise CodecError("not an object with a kind")
    if message.get("v", VERSION) != VERSION:
        raise CodecError(f"version {str(message.get('v'))[:20]}; this is version {VERSION}")
    return message


class LineDecoder:
    """Cuts a stream of bytes into messages; keeps at most one line that is not whole."""

    def __init__(self) -> None:
        self._pieces: List[bytes] = []
        self._waiting = 0

    def feed(self, data: bytes) -> Iterator[Tuple[bytes, Dict[str, Any]]]:
        """Pairs of a line as it came, with its line feed, and its message.

        Raises CodecError at the first line that is none; nothing can be read after it.
        """
        start = 0
        while True:
            end = data.find(b"\n", start)
            if end < 0:
                break
            line = data[start:end + 1]
            if self._pieces:
                self._pieces.append(line)
                line = b"".join(self._pieces)
                self._pieces.clear()
                self._waiting = 0
            start = end + 1
            yield line, decode(line)
        if start < len(data):
            self._pieces.append(data[start:])
            self._waiting += len(data) - start
            if self._waiting > MAX_LINE:
                raise CodecError(f"a line of more than {MAX_LINE} bytes")

    @property
    def partial(self) -> int:
        """Bytes of a line whose end has not come."""
        return self._waiting
