"""Where a script goes into an HTML document that streams by.

Knows how a document begins (HTML standard, sections 13.2.6.4.1 to 13.2.6.4.3): byte order mark,
comments, DOCTYPE, <html>, <head>. Pure; holds back no more than a tag's beginning that is cut.
"""

import re
from typing import Tuple

_SPACE = re.compile(rb"[\t\n\f\r ]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
#: the longest that must be seen to know what a "<" begins
_LONGEST = len(b"<!doctype")
_TAG = re.compile(rb"<(html|head)[\t\n\f\r />]", re.IGNORECASE)
# A ">" within quotation marks does not end a tag.
_TAG_END = re.compile(rb"""[>"']""")
_COMMENT_END = re.compile(rb"--!?>")
_PROLOGUE = (b"<!--", b"<!doctype", b"<html", b"<head")

#: between tokens; within a comment, a declaration, a tag, an attribute's value, UTF-16; done
_BETWEEN, _COMMENT, _DECLARATION, _IN_TAG, _QUOTED, _WIDE, _DONE = range(7)


class Injection:
    """Puts `snippet` right after <head>, or where that would stand if the document leaves it
    out. `feed` takes pieces of the document and gives what to send; `end` gives the rest."""

    def __init__(self, snippet: bytes) -> None:
        self._snippet = snippet
        self._state = _BETWEEN
        self._held = b""
        self._seen_html = False
        self._at_start = True
        self._in_head = False
        self._quote = b""
        #: there is a document
        self.fed = False

    @property
    def done(self) -> bool:
        """The snippet is in: everything that follows passes as it is."""
        return self._state == _DONE

    def feed(self, data: bytes) -> bytes:
        """What of the document, with `data` as its next piece, can be sent."""
        if self._state == _DONE or not data:
            return data
        self.fed = True
        data = self._held + data
        position, held = 0, len(data)
        while self._state != _DONE:
            position, complete = self._step(data, position)
            if not complete:
                held = position
                break
        if self._state == _DONE:
            self._held = b""
            return data[:position] + self._snippet + data[position:]
        self._held = data[held:]
        return data[:held]

    def end(self) -> bytes:
        """What is left at the document's end, with the snippet if it is not in yet."""
        if self._state == _DONE:
            return b""
        self._state = _DONE
        held, self._held = self._held, b""
        return self._snippet + held

    def _step(self, data: bytes, position: int) -> Tuple[int, bool]:
        """Take one token from `position` on. How far the data is understood, and whether there
        is more of it to look at."""
        if self._state == _BETWEEN:
            return self._token(data, position)
        if self._state == _WIDE:
            return len(data), False
        if self._state == _QUOTED:
            found = data.find(self._quote, position)
            if found < 0:
                return len(data), False
            self._state = _IN_TAG
            return found + 1, True
        if self._state == _IN_TAG:
            match = _TAG_END.search(data, position)
            if match is None:
                return len(data), False
            if match[0] != b">":
                self._state, self._quote = _QUOTED, match[0]
            else:
                self._state = _DONE if self._in_head else _BETWEEN
            return match.end(), True
        if self._state == _COMMENT:
            match = _COMMENT_END.search(data, position)
            if match is None:  # its end may be cut
                return max(position, len(data) - 3), False
            self._state = _BETWEEN
            return match.end(), True
        found = data.find(b">", position)
        if found < 0:
            return len(data), False
        self._state = _BETWEEN
        return found + 1, True

    def _token(self, data: bytes, position: int) -> Tuple[int, bool]:
        if self._at_start:
            if data[:2] in _WIDE_MARKS:
                # UTF-16: no place for our bytes. Blanks at the end keep a promised length.
                self._snippet = b" " * len(self._snippet)
                self._state = _WIDE
                return len(data), False
            if len(data) < 3 and any(mark.startswith(data)
                                     for mark in (_BYTE_ORDER_MARK, *_WIDE_MARKS)):
                return 0, False
            if data.startswith(_BYTE_ORDER_MARK):
                position = 3
            self._at_start = False
        position = _SPACE.match(data, position).end()  # type: ignore[union-attr]
        start = data[position:position + _LONGEST].lower()
        if start.startswith(b"<!--"):
            self._state = _COMMENT
            return position + 2, True  # "<!-->" is a whole comment
        tag = _TAG.match(data, position)
        if tag is not None and not (tag[1].lower() == b"html" and self._seen_html):
            self._in_head = tag[1].lower() == b"head"
            self._seen_html = True
            self._state = _IN_TAG
            return position + 5, True
        if len(start) < _LONGEST and any(token.startswith(start) for token in _PROLOGUE):
            return position, False  # perhaps one of these, once more of it is there
        if start.startswith((b"<?", b"<!")):
            self._state = _DECLARATION
            return position + 2, True
        self._state = _DONE
        return position, True
