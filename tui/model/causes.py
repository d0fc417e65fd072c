"""Why a request took its time: what stands out among what is known of it, in a few words.

Only what was measured is said, and only where it stands out; a request of which nothing does has
no cause.
"""

import os
from typing import Dict, List, Optional, Tuple

from .insight import Facts, Node
from .traffic import Row

#: milliseconds from which it is worth saying where they went; the share that stands out
WORTH, MUCH = 20.0, 0.4
#: of a call's samples, the share that a call of its own must have to be named in its place
MOST_OF_IT = 0.5
REPEATED = 3  # statements named, at most


def causes_of(row: Row, facts: Optional[Facts]) -> List[str]:
    """What stands out, the largest part of the time first; then statements that it repeated."""
    found: List[str] = []
    if row.ms >= WORTH and row.state not in ("live", "over") and not row.stream:
        parts = sorted(row.parts, key=lambda part: -part[1])
        for name, ms in parts:
            if ms >= MUCH * row.ms:
                found.append(_part(name, ms, row, facts))
                if name in ("app", "send") and facts:  # its body may be made then
                    found.append(_hot(facts.flame))
    if facts is not None:
        found += [f"1+N: {each.times}× at {_short(each.place)}"
                  for each in facts.repeated[:REPEATED]]
    return [cause for cause in dict.fromkeys(found) if cause]


def _part(name: str, ms: float, row: Row, facts: Optional[Facts]) -> str:
    share = f"{100 * ms / row.ms:.0f} %"
    if name == "SQL":
        place = _longest([(query.place, query.ms) for query in facts.queries]) if facts else ""
        return f"{share} in SQL{place and ', most at ' + _short(place)}"
    if name == "outgoing":
        target = _longest([(f"{call.method} {call.target}", call.ms)
                           for call in facts.calls]) if facts else ""
        return f"{share} waited for {target or 'other services'}"
    return {"app": "", "queue": f"{share} waited for its turn",
            "send": f"{share} from its first byte to its last",
            "throttle": f"{share} held by the throttle"}[name]


def _hot(flame: List[Node]) -> str:
    """The innermost call that has most of the samples of each call that leads to it."""
    whole = sum(node.samples for node in flame if node.depth == 0)
    hot: Optional[Node] = None
    depth, outer = 0, whole
    for node in flame:  # each call before those that it made
        if node.depth < depth:
            break
        if node.depth == depth and node.samples >= MOST_OF_IT * outer:
            hot, depth, outer = node, depth + 1, node.samples
    if hot is None or hot.samples < MUCH * whole:
        return ""
    return f"{100 * hot.samples / whole:.0f} % of samples in {hot.label}"


def _longest(parts: List[Tuple[str, float]]) -> str:
    total: Dict[str, float] = {}
    for name, ms in parts:
        total[name] = total.get(name, 0.0) + ms
    return max(total, key=lambda name: total[name], default="")


def _short(place: str) -> str:
    return os.path.basename(place)
