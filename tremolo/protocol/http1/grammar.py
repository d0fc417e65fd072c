"""The grammar of HTTP/1 as byte tables and expressions (RFC 9110, RFC 9112, RFC 3986).

Constants only. Tables are meant for `bytes.translate(None, TABLE)`, which leaves the bytes
that are *not* allowed. No expression here nests repeats, so that each is linear.
"""

import re
from typing import Dict

CRLF = b"\r\n"
HEAD_END = b"\r\n\r\n"
OWS = b" \t"

_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# RFC 9110 section 5.6.2
TOKEN = b"!#$%&'*+-.^_`|~0123456789" + _LETTERS

# What a field value and a reason phrase may hold: HTAB, SP, VCHAR and obs-text (RFC 9110
# section 5.5). All other control characters are refused, not only CR, LF and NUL.
TEXT = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

# A request target: VCHAR without "#", since a target has no fragment (RFC 9112 section 3.2).
# Wider than RFC 3986 on purpose: browsers send `|`, `^`, `{` and the like in queries.
TARGET = bytes(byte for byte in range(0x21, 0x7F) if byte != 0x23)

# uri-host [ ":" port ] of RFC 3986 section 3.2.2, never empty, without userinfo.
AUTHORITY = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?"
)
ABSOLUTE_FORM = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)([^?]*)(?:\?(.*))?", re.DOTALL)
VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")

# At most 16 digits, so that no length can become a number of surprising size.
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
# chunk-ext of RFC 9112 section 7.1.1, one at a time
CHUNK_EXTENSION = re.compile(
    rb"[ \t]*;[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    rb'|"(?:[\t\x20!\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?'
)

# CR that is followed by something else than LF, LF that does not follow CR. A CR at the very
# end is not yet either.
BARE_LINE_END = re.compile(rb"\r(?=[^\n])|(?<!\r)\n")

# Methods that need no further look; any other token is a method as well.
METHODS = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE")
)

# Fields that decide where a message ends: behind it they are an attempt to move that end.
FRAMING = frozenset((b"content-length", b"transfer-encoding"))

# Fields that decide where a message ends, where it goes or who sent it: never taken from a
# trailer section, never sent in one (RFC 9110 section 6.5.1).
NOT_IN_TRAILERS = frozenset(
    (
        b"authorization", b"cache-control", b"connection", b"content-encoding",
        b"content-length", b"content-range", b"content-type", b"cookie", b"expect", b"host",
        b"keep-alive", b"max-forwards", b"proxy-authorization", b"proxy-connection", b"range",
        b"set-cookie", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip

_COMMON_NAMES = """
accept accept-charset accept-encoding accept-language access-control-request-headers
access-control-request-method authorization cache-control connection content-disposition
content-encoding content-length content-type cookie date dnt etag expect forwarded from host
if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive
max-forwards origin pragma priority proxy-authorization proxy-connection purpose range referer
sec-ch-ua sec-ch-ua-arch sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode
sec-fetch-site sec-fetch-user sec-gpc sec-purpose sec-websocket-extensions sec-websocket-key
sec-websocket-protocol sec-websocket-version te trailer transfer-encoding upgrade
upgrade-insecure-requests user-agent via x-api-key x-correlation-id x-csrf-token
x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-prefix x-forwarded-proto
x-real-ip x-request-id x-requested-with
"""


def _spellings() -> Dict[bytes, bytes]:
    """Common field names as clients write them, each with its lower-case form."""
    names: Dict[bytes, bytes] = {}
    for text in _COMMON_NAMES.split():
        lower = text.encode()
        names[lower] = lower
        names[text.title().encode()] = lower
    names.update({b"DNT": b"dnt", b"ETag": b"etag", b"TE": b"te"})
    for name in (b"Key", b"Version", b"Protocol", b"Extensions"):
        names[b"Sec-WebSocket-" + name] = b"sec-websocket-" + name.lower()
    return names


KNOWN_NAMES = _spellings()
