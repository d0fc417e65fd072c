"""What a page's Content-Security-Policy allows of our script and its connection.

Understands as much of CSP Level 3 as it takes to be sure; where it is not sure the answer is no.
Knows header values only.
"""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

# What may stand in an attribute without a further thought (CSP section 2.3.1: base64-value).
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)

Policy = Dict[str, List[str]]


class Verdict(NamedTuple):
    """`blocked_by` names the directive that stands against it, "" if none does. `nonce` must be
    on the script's tag, unless it is ""."""

    blocked_by: str
    nonce: str


def judge(values: Iterable[bytes], host: bytes) -> Verdict:
    """Whether pages with these policies let a script of their own host run and connect."""
    nonce = ""
    own = host.decode("latin-1").lower()
    for policy in _policies(values):
        sandbox = policy.get("sandbox")
        if sandbox is not None and not {"allow-scripts", "allow-same-origin"} <= {
                flag.lower() for flag in sandbox}:
            return Verdict("sandbox", "")
        name, sources = _sources(policy, "script-src-elem", "script-src", "default-src")
        if sources is not None and not _allows(sources, own, strict=True):
            found = [match[1] for match in map(_NONCE.fullmatch, sources) if match]
            if not found or (nonce and nonce not in found):
                return Verdict(name, "")
            nonce = nonce or found[0]
        name, sources = _sources(policy, "connect-src", "default-src")
        if sources is not None and not _allows(sources, own):
            return Verdict(name, "")
    return Verdict("", nonce)


def _policies(values: Iterable[bytes]) -> Iterable[Policy]:
    for value in values:
        for text in value.decode("latin-1").split(","):
            policy: Policy = {}
            for directive in text.split(";"):
                name, *tokens = directive.split() or [""]
                policy.setdefault(name.lower(), tokens)  # the first of a name counts
            yield policy


def _sources(policy: Policy, *names: str) -> Tuple[str, Optional[List[str]]]:
    """The first of these directives that is there, with its sources."""
    for name in names:
        if name in policy:
            return name, policy[name]
    return "", None


def _allows(sources: List[str], own: str, strict: bool = False) -> bool:
    """Whether a list of sources allows the page's own host. Paths and wildcards within hosts are
    not understood: they count as another host."""
    found = {source.lower() for source in sources}
    if strict and "'strict-dynamic'" in found:
        return False  # the other sources do not count then, only nonces
    return not found.isdisjoint(("'self'", "*", "http:", own, "http://" + own, "https://" + own))
