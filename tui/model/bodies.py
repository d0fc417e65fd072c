"""What is known of a body, as lines to read: JSON indented, forms decoded, text as it is, the
rest as a hex dump.

The lines are not cleaned, only cut where they begin a new line. Secrets of JSON and of forms
are masked on request, by the names that `messages.is_secret` knows.
"""

import codecs
import json
import re
from typing import Iterator, List, Optional, Tuple
from urllib.parse import unquote_plus

from .codings import decoded
from .images import describe
from .messages import Message, is_secret, masked
from .text import clean, size

LINES = 200  # of a text
DUMP_LINES = 8
_STEP = "  "
DEEPEST = 16  # steps that an indentation has at most
# A string that is not closed ends with the text: looking for others in it would be quadratic.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]+', re.S)
_CHARSET = re.compile(r'charset="?([a-z0-9_-]{1,40})', re.I)
_LATIN = {"iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252", "cp1252"}


def content_type(message: Message) -> str:
    """The media type, in lower case and without parameters; "" if none is told."""
    return message.field("content-type").partition(";")[0].strip().lower()


def kind_of(message: Message) -> str:
    """"json", "form", "text", "binary", or "" when nothing of the body is known."""
    if not message.body:
        return ""
    if text_of(message) is None:
        return "binary"
    media = content_type(message)
    if media.endswith("+json") or media in ("application/json", "text/json"):
        return "json"
    return "form" if media == "application/x-www-form-urlencoded" else "text"


def text_of(message: Message) -> Optional[str]:
    """What is known of the body as text; None when it is not text. A character that the cut
    went through is left out."""
    body = message.body or b""
    if message.field("content-encoding").lower() not in ("", "identity") or b"\0" in body:
        return None
    charset = _CHARSET.search(message.field("content-type"))
    if charset and charset.group(1).lower() in _LATIN:
        return body.decode("cp1252", "replace")  # which is what browsers take all of them for
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body, final=message.body_whole)
    except UnicodeDecodeError:
        return None


def readable(message: Message) -> Tuple[Message, str]:
    """The message with its content coding undone, and words about that: what the coding was, or
    why it could not be undone."""
    coding = message.field("content-encoding")
    if coding.lower() in ("", "identity") or not message.body:
        return message, ""
    found = decoded(message.body, coding)
    if found.body is None:
        return message, found.problem
    headers = tuple(field for field in message.headers if field[0].lower() != "content-encoding")
    whole = message.body_whole
    made = Message(headers, len(found.body) if whole else None, found.body, not whole)
    return made, f"{clean(coding, 20)}, {size(message.size or len(message.body))} sent"


def amount(count: int) -> str:
    """Bytes, in KiB where that is a whole number."""
    return f"{count // 1024} KiB" if count and count % 1024 == 0 else size(count)


def extent(message: Message) -> str:
    """How large it is, and how much of it is known; nothing but words of our own."""
    whole = "an unknown size" if message.size is None else size(message.size)
    known = len(message.body or b"")
    if message.body_whole:
        return whole
    return f"the first {amount(known)} of {whole}" if known else f"{whole}, not known here"


def shown(message: Message, reveal: bool, bytes_a_line: int = 16, most: int = LINES
          ) -> Tuple[List[str], int]:
    """The body as at most `most` lines, and the number of those that are left out."""
    kind, text = kind_of(message), text_of(message)
    if not kind:
        return [], 0
    if kind == "binary" or text is None:
        return _dump(message, bytes_a_line), 0
    if kind == "json" and message.body_whole and _is_json(text):
        lines = _indented(text, reveal)
    elif kind == "form":
        lines = [f"{name} = {value}" for name, value in _form(text, reveal)]
    else:
        if kind == "json" and not reveal:
            text = masked_json(text)
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
    return lines[:most], max(0, len(lines) - most)


def depth_of(message: Message) -> int:
    """How many levels of JSON lie in each other."""
    lines, _ = shown(message, False, most=100 * LINES)
    return max((_indent(line) for line in lines), default=0)


def folded(lines: List[str], depth: int) -> List[str]:
    """Lines of indented JSON, with each part that lies deeper than `depth` as one line."""
    found: List[str] = []
    hidden = 0
    for line in lines:
        if _indent(line) > depth:
            hidden += 1
            continue
        if hidden:
            found[-1] += f" … {hidden} line{'' if hidden == 1 else 's'} … {line.strip()}"
            hidden = 0
        else:
            found.append(line)
    if hidden:
        found.append(f"{_STEP * depth}… {hidden} lines")
    return found


def _indent(line: str) -> int:
    return (len(line) - len(line.lstrip(" "))) // len(_STEP)


def has_secrets(message: Message) -> bool:
    """Whether something in the body is masked until it is revealed."""
    kind, text = kind_of(message), text_of(message) or ""
    if kind == "json":
        return masked_json(text) != text
    return kind == "form" and any(is_secret(name) and value for name, value in _form(text, True))


def _dump(message: Message, bytes_a_line: int) -> List[str]:
    coding = clean(message.field("content-encoding"), 20)
    picture = describe(message.body or b"")
    lines = [f"{picture or clean(content_type(message), 60) or 'no type'}"
             f"{', ' + coding if coding else ''} · {extent(message)}"
             f"{'' if picture else ' · binary'}"]
    body = message.body or b""
    for start in range(0, min(len(body), DUMP_LINES * bytes_a_line), bytes_a_line):
        piece = body[start:start + bytes_a_line]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{start:04x}  {piece.hex(' '):<{bytes_a_line * 3}} {letters}")
    return lines


# -- forms

def _form(text: str, reveal: bool) -> Iterator[Tuple[str, str]]:
    for pair in text.split("&"):
        if pair:
            name, _, value = map(unquote_plus, pair.partition("="))
            yield name, value if reveal or not value or not is_secret(name) else masked(value)


def masked_form(text: str) -> str:
    """The body of a form, its secrets masked."""
    pairs = []
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        secret = value and is_secret(unquote_plus(name))
        pairs.append(name + equals + (masked(unquote_plus(value)) if secret else value))
    return "&".join(pairs)


# -- JSON

def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _tokens(text: str, reveal: bool) -> Iterator[Tuple[str, int]]:
    """The tokens of JSON as they are written, with their places; scalars that belong to a
    secret name (in arrays as well) masked, as strings."""
    name, secret = "", False
    arrays: List[bool] = []  # whether what the open brackets hold is secret
    for found in _TOKEN.finditer(text):
        token, place = found.group(), found.start()
        if token == ":":
            secret = is_secret(name)
        elif token in "{[":
            secret = secret and token == "["
            arrays.append(secret)
        elif token in "}]":
            secret = False
            del arrays[-1:]
        elif token == ",":
            secret = bool(arrays) and arrays[-1]
        elif secret and not reveal:
            token = f'"{masked(token.strip(chr(34)))}"'
        else:
            name = token
        yield token, place


def masked_json(text: str) -> str:
    """The text, whether it is JSON or the beginning of it, with its secrets masked."""
    pieces, end = [], 0
    raw = _tokens(text, True)
    for (token, _), (original, place) in zip(_tokens(text, False), raw):
        pieces += [text[end:place], token]
        end = place + len(original)
    return "".join(pieces) + text[end:]


def _indented(text: str, reveal: bool) -> List[str]:
    """JSON that is known to be good, one value a line. Tokens stay as they were written:
    numbers keep their digits, doubled names their double."""
    lines: List[str] = []
    line, depth, before = "", 0, ""

    def broken(line: str) -> str:
        if line.strip():
            lines.append(line)
        return _STEP * min(depth, DEEPEST)

    for token, _ in _tokens(text, reveal):
        if token in "}]":
            depth -= 1
            if before not in "{[":
                line = broken(line)
        elif before and before in "{[,":
            line = broken(line)
        line += token + (" " if token == ":" else "")
        if token in "{[":
            depth += 1
        before = token
    broken(line)
    return lines
