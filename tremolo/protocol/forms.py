"""Queries, URL-encoded forms and cookies: names and values as they travel in HTTP/1.

Knows the WHATWG URL standard's form encoding and RFC 6265; knows no request, no response and
no clock.
"""

import re
from typing import Dict, Iterable, List, Optional, Union

from tremolo.protocol.dates import format_http_date
from tremolo.protocol.paths import percent_decode

Text = Union[str, bytes]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# cookie-octet of RFC 6265 without "%", which marks what is encoded.
_COOKIE_OCTETS = frozenset(range(0x21, 0x7F)) - frozenset(b'",;\\%')
# pchar and "/" of RFC 3986 without ";", which would end the attribute; "%" stays, so that a
# path that is encoded already is not encoded again.
_COOKIE_PATH_OCTETS = frozenset(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~!$&'()*+,=:@/%"
)
_COOKIE_DOMAIN = re.compile(rb"\.?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")
_SAME_SITE = {b"strict": b"Strict", b"lax": b"Lax", b"none": b"None"}
# Browsers cut lifetimes to 400 days; what this keeps out is arithmetic that overflows.
_LIFETIME = 100 * 365 * 86400


class TooManyFields(ValueError):
    """A query or a form has more fields than the limit."""


def parse_query(query: bytes, max_fields: int = 1000) -> Dict[str, List[str]]:
    """The fields of a query string, or of an application/x-www-form-urlencoded body.

    Names and values are UTF-8, percent-encoded or raw, with `+` for a space; what is not UTF-8
    becomes U+FFFD. Fields without a value have an empty one. Raises TooManyFields before any
    field is stored.
    """
    fields: Dict[str, List[str]] = {}
    if not query:
        return fields
    if query.count(b"&") >= max_fields:
        raise TooManyFields(f"more than {max_fields} fields")
    for field in query.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            fields.setdefault(_decode(name), []).append(_decode(value))
    return fields


def _decode(text: bytes) -> str:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    if b"%" in text:
        text = percent_decode(text)
    return text.decode("utf-8", "replace")


def parse_cookies(header_values: Iterable[bytes], limit: int = 100) -> Dict[str, List[str]]:
    """The cookies of a request's Cookie fields; those after the first `limit` are ignored.

    Names keep their case and are taken as they are: decoding one, or trimming more than SP and
    HTAB, would let a plain cookie pass for a `__Host-` one. Values lose one pair of quotation
    marks and are percent-decoded. Of several cookies of one name in a field the last comes
    first, as always in Tremolo; browsers send the most specific path's first.
    """
    cookies: Dict[str, List[str]] = {}
    for header_value in header_values:
        if limit <= 0:
            break
        pairs = header_value.split(b";", limit)[:limit]
        limit -= len(pairs)
        for pair in reversed(pairs):
            name, equals, value = pair.partition(b"=")
            name = name.strip(b" \t")
            if equals and name:
                value = value.strip(b" \t")
                if len(value) > 1 and value[:1] == value[-1:] == b'"':
                    value = value[1:-1]
                decoded = percent_decode(value).decode("utf-8", "replace")
                cookies.setdefault(name.decode("utf-8", "replace"), []).append(decoded)
    return cookies


def build_set_cookie(
    name: Text,
    value: Text = "",
    *,
    expires: float = 0,
    path: Optional[Text] = "/",
    domain: Optional[Text] = None,
    secure: bool = False,
    httponly: bool = False,
    samesite: Optional[Text] = None,
    now: Optional[float] = None,
) -> bytes:
    """The value of a Set-Cookie field (RFC 6265 section 4.1, and its revision for prefixes).

    `expires` is the lifetime in seconds: 0 makes a session cookie, a negative one deletes the
    cookie. Max-Age alone says it; with `now`, the Unix time, Expires says it too. `value` and
    `path` are percent-encoded where they must be; an empty `path` or `domain` is left out.

    Raises ValueError for what a browser would drop without a word: a name that is no token, a
    path that does not begin with a slash, `SameSite=None` without `secure`, a `__Secure-` name
    without `secure`, a `__Host-` name without `secure`, with a domain or with a path other
    than `/`.
    """
    name = _encode(name)
    path = _encode(path or b"")
    domain = _encode(domain or b"")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"a cookie's name must be a token (RFC 9110), got {_show(name)}")
    _check_prefix(name, path, domain, secure)
    pieces = [name + b"=" + _percent_encode(_encode(value), _COOKIE_OCTETS)]
    pieces += _lifetime(expires, now)
    if path:
        if path[:1] != b"/":
            raise ValueError(f"a cookie's path must begin with a slash, got {_show(path)}")
        pieces.append(b"Path=" + _percent_encode(path, _COOKIE_PATH_OCTETS))
    if domain:
        if not _COOKIE_DOMAIN.fullmatch(domain):
            raise ValueError(f"a cookie's domain must be a host name, got {_show(domain)}")
        pieces.append(b"Domain=" + domain)
    if secure:
        pieces.append(b"Secure")
    if httponly:
        pieces.append(b"HttpOnly")
    if samesite:
        pieces.append(b"SameSite=" + _same_site(_encode(samesite), secure))
    return b"; ".join(pieces)


def _same_site(value: bytes, secure: bool) -> bytes:
    known = _SAME_SITE.get(value.lower())
    if known is None:
        raise ValueError(f"samesite must be Strict, Lax or None, got {_show(value)}")
    if value.lower() == b"none" and not secure:
        raise ValueError("a cookie with samesite None must be secure, else browsers drop it")
    return known


def _check_prefix(name: bytes, path: bytes, domain: bytes, secure: bool) -> None:
    # In either case of letters: browsers compare the prefixes so.
    prefix = name.lower()
    if prefix.startswith((b"__secure-", b"__host-")) and not secure:
        raise ValueError(f"the name of the cookie {_show(name)} demands secure=True")
    if prefix.startswith(b"__host-"):
        if domain:
            raise ValueError(f"the name of the cookie {_show(name)} forbids a domain")
        if path != b"/":
            raise ValueError(f"the name of the cookie {_show(name)} demands the path /")


def _lifetime(expires: float, now: Optional[float]) -> List[bytes]:
    if not expires:
        return []
    if not -_LIFETIME <= expires <= _LIFETIME:
        raise ValueError(f"a cookie's lifetime must be within 100 years, got {expires!r} s")
    if expires < 0:
        return [b"Expires=Thu, 01 Jan 1970 00:00:00 GMT", b"Max-Age=0"]
    # At least a second: rounding a short life down to 0 would delete the cookie.
    seconds = max(1, int(expires))
    max_age = b"Max-Age=%d" % seconds
    if now is None:
        return [max_age]
    return [b"Expires=" + format_http_date(now + seconds), max_age]


def _percent_encode(text: bytes, safe: frozenset[int]) -> bytes:
    if safe.issuperset(text):
        return text
    return b"".join([b"%c" % octet if octet in safe else b"%%%02X" % octet for octet in text])


def _encode(text: Text) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else bytes(text)


def _show(text: bytes) -> str:
    return repr(text.decode("utf-8", "replace"))
