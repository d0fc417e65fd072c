"""What handlers return, send and set, as bytes: of bodies and of fields.

Knows types of values, nothing of responses.
"""

from typing import Any, Union


def body_bytes(value: Any) -> bytes:
    """A returned or yielded value as bytes: str is UTF-8, a pair is (text, charset).

    Raises TypeError for anything else.
    """
    if type(value) is bytes:
        return value
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str):
        text, charset = value
        return text.encode(charset) if isinstance(text, str) else body_bytes(text)
    raise TypeError(f"a body is str or bytes, or a pair of str and charset, not "
                    f"{type(value).__name__}")


def json_bytes(value: Any) -> bytes:
    """JSON in UTF-8 (RFC 8259). Raises TypeError or ValueError for what JSON cannot express."""
    import json

    return json.dumps(value, ensure_ascii=False, allow_nan=False,
                      separators=(",", ":")).encode("utf-8", "surrogatepass")


def raw_bytes(data: Any) -> bytes:
    """Bytes that are sent as they are. Raises TypeError for anything else."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"raw bytes or None are sent, not {type(data).__name__}")
    return bytes(data)


def field_bytes(value: Union[str, bytes, bytearray]) -> bytes:
    """A header value as bytes (latin-1, RFC 9110 section 5.5)."""
    return value.encode("latin-1") if isinstance(value, str) else bytes(value)
