"""Requests in forms that other programs take."""

import re
import shlex
from typing import List, Optional, Sequence

from .bodies import kind_of, masked_form, masked_json, text_of
from .messages import Message, is_secret, masked
from .requests import field_problem
from .traffic import Row

BODY_FILE = "body.bin"
_CURLS_OWN = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}
# All but tab and line feed; and bytes that are no UTF-8, as `surrogateescape` has them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udcff]")


def url(row: Row, addresses: Sequence[str]) -> str:
    """The row's URL on the first address that a browser could use."""
    base = next((a for a in addresses if a.startswith("http")), "http://localhost")
    if row.secure and base.startswith("http:"):
        base = next((a for a in addresses if a.startswith("https:")), base)
    path = row.path if row.path.startswith("/") else "/" + row.path
    return base.rstrip("/") + path


def curl(row: Row, addresses: Sequence[str], mask: bool = False) -> str:
    """A curl command that sends the request again, as far as it is known.

    If `needs_file(row)`, its body is read from BODY_FILE. With `mask` it is for the eye only:
    secrets are masked.
    """
    words = ["curl", "-i", *_method(row)]
    if any(char in row.path for char in "[]{}"):
        words.append("-g")
    if "/." in row.path:
        words.append("--path-as-is")
    socket = next((a[5:] for a in addresses if a.startswith("unix:")), None)
    if socket and not any(a.startswith("http") for a in addresses):
        words += ["--unix-socket", socket]
    if row.request is not None:
        words += _headers(row, row.request, mask)
        if _has_body(row):
            words += _body(row.request, mask)
    words.append(url(row, addresses))
    return " ".join(map(_quoted, words))


def curl_of(addresses: Sequence[str]) -> str:
    """A curl command for the root of the server."""
    socket = next((a[5:] for a in addresses if a.startswith("unix:")), None)
    web = next((a for a in addresses if a.startswith("http")), None)
    if web is None and socket is not None:
        return " ".join(map(_quoted, ["curl", "-i", "--unix-socket", socket, "http://localhost/"]))
    return " ".join(map(_quoted, ["curl", "-i", (web or "http://localhost").rstrip("/") + "/"]))


def needs_file(row: Row) -> bool:
    """Whether the command that `curl` gives reads a body that it cannot hold itself."""
    return row.request is not None and _has_body(row) and _text(row.request) is None


def _has_body(row: Row) -> bool:
    request = row.request
    return request is not None and row.method != "HEAD" \
        and bool(request.body or not request.body_whole)


def _method(row: Row) -> List[str]:
    """Only what curl would not choose by itself: GET, and POST for what has a body."""
    if row.method == "HEAD":
        return ["-I"]
    if row.websocket or row.method == ("POST" if _has_body(row) else "GET"):
        return []
    return ["-X", row.method]


def _headers(row: Row, request: Message, mask: bool) -> List[str]:
    words: List[str] = []
    for name, value in request.headers:
        lower = name.lower()
        if lower == "accept-encoding" and "--compressed" not in words:
            words.append("--compressed")
        handshake = row.websocket and lower == "connection"
        if (lower in _CURLS_OWN and not handshake) or field_problem(name, value):
            continue
        typed = masked(value) if mask and is_secret(name) else _typed(value)
        # curl takes "name:" for a header that it should leave out, "name;" for an empty one.
        words += ["-H", f"{name}: {typed}" if value else f"{name};"]
    if _has_body(row) and not request.field("content-type"):
        words += ["-H", "Content-Type:"]  # else curl would say that it is a form
    return words


def _typed(value: str) -> str:
    """A field's value as it has to be typed in a terminal for the same bytes."""
    return value.encode("latin-1").decode("utf-8", "surrogateescape")


def _text(request: Message) -> Optional[str]:
    """The body, if it can stand in a command."""
    if not request.body_whole or (request.body and text_of(request) is None):
        return None
    try:
        return (request.body or b"").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _body(request: Message, mask: bool) -> List[str]:
    text = _text(request)
    if text is None:
        return ["--data-binary", f"@{BODY_FILE}"]
    if mask:
        text = {"json": masked_json, "form": masked_form}.get(kind_of(request), str)(text)
    return ["--data-raw", text]


def _quoted(text: str) -> str:
    """As one word of a shell. Control characters are written out: pasted into a terminal
    they would be keys."""
    if not _CONTROL.search(text):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return "$'" + _CONTROL.sub(lambda found: _escape(found.group()), escaped) + "'"


def _escape(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
