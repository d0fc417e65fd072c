"""The parts of a multipart body, and the cookies of a head, as far as they are known."""

import re
from typing import List, NamedTuple, Optional, Tuple

from .messages import Message

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^;\s]{1,70}))', re.I)
_NAME = re.compile(r'\bname="((?:[^"\\]|\\.)*)"')
_FILE = re.compile(r'\bfilename="((?:[^"\\]|\\.)*)"')


class Part(NamedTuple):
    """`body` is what is known of it; `whole` says whether that is all."""

    name: str
    file: Optional[str]
    media: str
    body: bytes
    whole: bool


def parts_of(message: Message) -> List[Part]:
    """The parts of a multipart/form-data body; empty if it is none."""
    media = message.field("content-type")
    boundary = _BOUNDARY.search(media)
    if not media.lower().startswith("multipart/") or boundary is None or not message.body:
        return []
    mark = b"--" + (boundary.group(1) or boundary.group(2)).encode("latin-1", "replace")
    pieces = (b"\r\n" + message.body).split(b"\r\n" + mark)
    found = []
    for number, piece in enumerate(pieces[1:], 1):
        if piece.startswith(b"--"):
            break
        head, blank, body = piece.partition(b"\r\n\r\n")
        if not blank:
            continue
        text = head.decode("utf-8", "replace")
        name, file = _NAME.search(text), _FILE.search(text)
        kind = next((line.partition(":")[2].strip() for line in text.split("\r\n")
                     if line.lower().startswith("content-type:")), "")
        found.append(Part(name.group(1) if name else "", file.group(1) if file else None, kind,
                          body, number < len(pieces) - 1))
    return found


def cookies_of(message: Message) -> List[Tuple[str, str, str]]:
    """Name, value and attributes of each cookie in the head of a request or a response."""
    found = []
    for field, value in message.headers:
        lower = field.lower()
        if lower == "cookie":
            for pair in value.split(";"):
                name, _, content = pair.strip().partition("=")
                if name:
                    found.append((name, content, ""))
        elif lower == "set-cookie":
            pair, _, attributes = value.partition(";")
            name, _, content = pair.strip().partition("=")
            found.append((name, content, attributes.strip()))
    return found
