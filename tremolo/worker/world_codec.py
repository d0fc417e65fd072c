"""A world as it is sent to another process: what of it differs from the one before, as JSON."""

import builtins
import os
import re
import sys
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .world import ENVIRONMENT, REPLAYED, World, text_of


def encode(world: World, since: Optional[World]) -> Optional[Dict[str, Any]]:
    """What of the replayed fields differs from `since`, as JSON can carry it; None when it
    holds something that another process cannot be given."""
    encoded: Dict[str, Any] = {}
    for field in REPLAYED:
        value = getattr(world, field)
        if since is not None and value == getattr(since, field):
            continue
        if field == ENVIRONMENT:
            before = getattr(since, field) if since is not None else {}
            encoded[field] = {text_of(name): text_of(value[name]) if name in value else None
                           for name in {*value, *before}
                           if since is None or value.get(name) != before.get(name)}
            encoded["whole"] = since is None
        elif field == "filters":
            entries = [_encode_filter(entry) for entry in value]
            if None in entries:
                return None
            encoded[field] = entries
        elif field == "aliases":
            encoded[field] = sorted(value)
        else:
            encoded[field] = value
    return encoded


def decode(encoded: Mapping[str, Any], now: World) -> Optional[World]:
    """The world that `encode` described, from one that is like its `since`."""
    fields: Dict[str, Any] = {}
    for field in REPLAYED:
        if field not in encoded:
            continue
        value = encoded[field]
        if field == ENVIRONMENT:
            environment = {} if encoded.get("whole") else dict(now.environment)
            code = os.fsencode if any(isinstance(name, bytes) for name in now.environment) or (
                not now.environment) else str
            for name, text in value.items():
                environment.pop(code(name), None)
                if text is not None:
                    environment[code(name)] = code(text)
            value = environment
        elif field == "filters":
            value = tuple(map(_decode_filter, value))
            if None in value:
                return None
        elif field == "aliases":
            value = frozenset((str(name), str(target)) for name, target in value)
        elif field == "limits":
            value = (*value[:7], tuple(value[7]))
        elif isinstance(value, list):
            value = tuple(value)
        fields[field] = value
    return now._replace(**fields)


def _encode_filter(entry: Any) -> Optional[List[Any]]:
    action, message, module, line = entry[0], entry[1], entry[3], entry[4]
    category: type = entry[2]
    parts: List[Any] = [action]
    for pattern in (message, module):
        if pattern is None or isinstance(pattern, str):
            parts.append(pattern)
        else:
            parts.append([pattern.pattern, pattern.flags])
    found: Any = sys.modules.get(str(category.__module__))
    if getattr(found, str(category.__name__), None) is not category:
        return None
    return [*parts, category.__module__, category.__name__, line]


def _decode_filter(encoded: List[Any]) -> Optional[Tuple[Any, ...]]:
    action, message, module, where, name, line = encoded
    message, module = (re.compile(part[0], part[1]) if isinstance(part, list) else part
                       for part in (message, module))
    category = getattr(builtins if where == "builtins" else sys.modules.get(where), name, None)
    if category is None:
        return None
    return (action, message, category, module, line)
