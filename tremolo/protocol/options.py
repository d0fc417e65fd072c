"""Header fields of the form `value; name=parameter`: Content-Type, Content-Disposition.

Knows their grammar (RFC 9110 section 5.6.6, RFC 8187), not what any parameter means.
"""

import re
from typing import Dict, Tuple, Union

from tremolo.protocol.paths import percent_decode

# One parameter, or none after a stray semicolon. A token is taken generously, for clients
# leave boundaries with "=" or "/" unquoted. In a quoted string a backslash is an escape, but
# one right before the last quotation mark of the field is itself: browsers do not escape
# backslashes. No part can match in two ways, so a failing match gives up after one walk back.
_PARAMETER = re.compile(
    r""";[ \t]*
    (?:
        ([!#$%&'*+.^_`|~0-9A-Za-z-]+)=
        (?: "( [^"\\]* (?: \\. [^"\\]* )* )" | "( [^"]* \\ )"(?=[ \t]*\Z) | ([^;"\s]*) )
        [ \t]*
    )?
    (?= ; | \Z )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r'\\(["\\])')
_EXTENDED = re.compile(r"(?i:(utf-8)|(iso-8859-1))'[A-Za-z0-9-]*'([!#$&+.^_`|~0-9A-Za-z%-]*)")


def parse_options_header(value: Union[str, bytes]) -> Tuple[str, Dict[str, str]]:
    """The value before the parameters in lower case, and the parameters by lower-case name.

    bytes are read as UTF-8, as browsers send file names; what is not UTF-8 becomes U+FFFD.
    Raises ValueError when the field is malformed or has a parameter twice.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    kind, semicolon, _ = value.partition(";")
    position = len(kind) if semicolon else len(value)
    parameters: Dict[str, str] = {}
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match is None:
            raise ValueError("a parameter is malformed")
        position = match.end()
        if match[1] is None:
            continue
        name = match[1].lower()
        if name in parameters:
            raise ValueError(f"the parameter {name!r} stands twice")
        if match[2] is not None:
            parameters[name] = _unescape(match[2])
        elif match[3] is not None:
            parameters[name] = match[3]
        else:
            parameters[name] = match[4]
    return kind.strip(" \t").lower(), parameters


def _unescape(quoted: str) -> str:
    # Only what must be escaped is taken for escaped, so that C:\new keeps its backslash.
    return _ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted


def decode_extended(value: str) -> str:
    """A parameter such as `filename*`: charset'language'percent-encoded (RFC 8187).

    Raises ValueError for another charset than UTF-8 or ISO-8859-1, and for bytes that are not
    of the charset.
    """
    match = _EXTENDED.fullmatch(value)
    if match is None:
        raise ValueError("an extended parameter is malformed")
    octets = percent_decode(match[3].encode("ascii"))
    return octets.decode("utf-8" if match[1] else "iso-8859-1")
