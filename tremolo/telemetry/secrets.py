"""Which names mean a secret, and texts with the values of such names masked.

Asked before anything that an application handled is shown or sent. Apart from `sanitize`,
which every process imports: these expressions take longer to compile than to match.
"""

import re

_SECRET = re.compile(
    r"^(proxy-)?authorization$|^(set-)?cookie$|token|secret|passw(or)?d|passphrase|api[-_]?key"
    r"|private[-_]?key|credential|sessionid|csrf", re.I)
#: what stands in place of a secret
MASK = "•••"
_NAMED = re.compile(
    r"""(?ix) (?<![A-Za-z0-9]) ( ['"]? [A-Za-z0-9_-]*
        (?: token(?!iz)|secret|passw(?:or)?d|passphrase|api[-_]?key|private[-_]?key|credential
            |csrf|authorization|cookie )
        [A-Za-z0-9_-]* ['"]? \s* [:=] \s* )
        ( b?"(?:[^"\\]|\\.)*" | b?'(?:[^'\\]|\\.)*' | [^\s,;&)}\]'"]+ )""")
#: one of these is in each name of a secret: that is looked for a lot faster
_WORDS = ("token", "secret", "pass", "key", "credential", "csrf", "authorization", "cookie")
_USERINFO = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]*@")


def is_secret(name: str) -> bool:
    """Whether the value of a header, variable, parameter or column of this name is a secret."""
    return _SECRET.search(name) is not None


def masked_text(text: str) -> str:
    """`text` without the values that it assigns to secret names (`password='x'`,
    `"token": "x"`, `api_key=x`), and without the passwords of URLs."""
    if "://" in text:
        text = _USERINFO.sub(MASK + "@", text)
    lowered = text.lower()
    if text.isascii() and not any(word in lowered for word in _WORDS):
        return text
    return _NAMED.sub(lambda match: match[1] + MASK, text)
