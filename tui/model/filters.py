"""The filter language: one line of text, compiled once to a closure over a row.

Space is *and*, `|` is *or* (it binds weaker), `!` is *not*. A bare word is a substring of
the path. Terms: `m:post` `s:5xx` `s:404` `ms>50` `ttfb>20` `size>10k` `in>1M` `route:/api/*`
`gen:14` `pid:4711` `conn:88` `ws:` `live:` `err:` `throttled:`, and where headers and bodies
are known `h:word` (a line "name: value" of either head) and `b:word` (the known part of either
body); quotes keep spaces together.
Invalid text raises `FilterError` with the place; the caller keeps its last good filter.
"""

import re
from fnmatch import translate
from typing import Any, Callable, List, Tuple

Predicate = Callable[[Any], bool]

_TOKEN = re.compile(r'\s*(\||(?:"[^"]*"?|[^\s|"])+)')
_COMPARISON = re.compile(r"^(ms|ttfb|size|in|throttle)(>=|<=|>|<|=)(.*)$")
_NUMBER = re.compile(r"^(\d+(?:\.\d+)?|\.\d+)(ms|us|s|b|k|kb|kib|m|mb|mib|g|gb)?$", re.I)
_SIZE_UNITS = {"": 1, "b": 1, "k": 1e3, "kb": 1e3, "kib": 1024, "m": 1e6, "mb": 1e6,
               "mib": 1024 * 1024, "g": 1e9, "gb": 1e9}
_TIME_UNITS = {"": 1, "ms": 1, "us": 0.001, "s": 1000}
_COLUMNS = {"ms": "ms", "ttfb": "ttfb_ms", "size": "bytes_out", "in": "bytes_in",
            "throttle": "throttle_ms"}

HELP = ("path word   m:post   s:5xx s:404   ms>50 ttfb>20   size>10k in>1M   route:/api/*   "
        "gen:14 pid:4711 conn:88   ws: live: err: throttled:   h:cookie b:total   "
        'h:"accept: text/html"   !not   a|b')


class FilterError(ValueError):
    """The text is no filter; `place` is the index of the first character that is wrong."""

    def __init__(self, text: str, place: int) -> None:
        super().__init__(text)
        self.place = place


def matches_everything(row: Any) -> bool:
    return True


def _quantity(kind: str, text: str, place: int) -> float:
    found = _NUMBER.match(text)
    sizes = kind in ("size", "in")
    units = _SIZE_UNITS if sizes else _TIME_UNITS
    unit = (found.group(2) or "").lower() if found else ""
    if found is None or unit not in units:
        example = "10k or 1.5M" if sizes else "50 or 1.5s"
        raise FilterError(f"{kind} needs a number such as {example}", place)
    return float(found.group(1)) * units[unit]


def _compare(kind: str, operator: str, text: str, place: int) -> Predicate:
    limit, column = _quantity(kind, text, place), _COLUMNS[kind]
    if operator == ">":
        return lambda row: bool(getattr(row, column) > limit)
    if operator == ">=":
        return lambda row: bool(getattr(row, column) >= limit)
    if operator == "<":
        return lambda row: bool(getattr(row, column) < limit)
    if operator == "<=":
        return lambda row: bool(getattr(row, column) <= limit)
    return lambda row: bool(getattr(row, column) == limit)


def _status(text: str, place: int) -> Predicate:
    if re.match(r"^[1-5]xx$", text, re.I):
        low = int(text[0]) * 100
        return lambda row: bool(low <= row.status < low + 100)
    if re.match(r"^[0-9]{3}$", text):
        status = int(text)
        return lambda row: bool(row.status == status)
    if re.match(r"^[1-5]x?$", text):  # half-typed: already useful
        low = int(text[0]) * 100
        return lambda row: bool(low <= row.status < low + 100)
    raise FilterError("s: needs a status such as 404 or 5xx", place)


def _integer(column: str, text: str, place: int) -> Predicate:
    if not text.isdigit() or not text.isascii():
        raise FilterError(f"{column}: needs a number", place)
    value = int(text)
    return lambda row: bool(getattr(row, column) == value)


def _route(text: str) -> Predicate:
    if not text:
        return lambda row: bool(row.route)
    pattern = re.compile(translate(text if "*" in text or "?" in text else text + "*"))
    return lambda row: bool(pattern.match(row.route or row.path.split("?", 1)[0]))


def _within(kind: str, text: str, place: int) -> Predicate:
    """A word in the head or in the body of either message."""
    if not text:
        example = "cookie" if kind == "h" else "total"
        raise FilterError(f"{kind}: needs a word such as {example}", place)
    word = text.lower()
    if kind == "h":
        return lambda row: any(message is not None and message.has_line(word)
                               for message in (row.request, row.response))
    return lambda row: any(message is not None and message.has_text(word)
                           for message in (row.request, row.response))


def _flag(name: str) -> Predicate:
    if name == "ws":
        return lambda row: bool(row.http == "ws" or row.status == 101)
    if name == "live":
        return lambda row: bool(row.state == "live")
    if name == "err":
        return lambda row: bool(row.error or row.status >= 500 or row.state == "aborted")
    return lambda row: bool(row.throttle_ms > 0)


def _term(text: str, place: int) -> Predicate:
    if text.startswith("!"):
        if len(text) == 1:
            raise FilterError("! needs something to exclude", place)
        inner = _term(text[1:], place + 1)
        return lambda row: not inner(row)
    comparison = _COMPARISON.match(text)
    if comparison:
        kind, operator, value = comparison.groups()
        return _compare(kind, operator, value, place + len(kind) + len(operator))
    key, colon, value = text.partition(":")
    value = value.replace('"', "")
    place += len(key) + 1
    if colon:
        key = key.lower()
        if key == "m":
            method = value.upper()
            return lambda row: bool(row.method.startswith(method))
        if key == "s":
            return _status(value, place)
        if key in ("gen", "pid", "conn"):
            return _integer(key, value, place)
        if key in ("h", "b"):
            return _within(key, value, place)
        if key == "route":
            return _route(value)
        if key in ("ws", "live", "err", "throttled") and not value:
            return _flag(key)
    word = text.replace('"', "").lower()
    if "*" in word:
        pattern = re.compile(translate("*" + word + "*"))
        return lambda row: bool(pattern.match(row.path.lower()))
    return lambda row: word in row.path.lower()


def _all(terms: List[Predicate]) -> Predicate:
    if len(terms) == 1:
        return terms[0]
    return lambda row: all(term(row) for term in terms)


def compile_filter(text: str) -> Predicate:
    """The predicate for `text`; raises FilterError."""
    alternatives: List[List[Predicate]] = [[]]
    bars: List[int] = []
    position = 0
    while True:
        found = _TOKEN.match(text, position)
        if found is None:
            break
        token, start = found.group(1), found.start(1)
        position = found.end()
        if token == "|":
            bars.append(start)
            alternatives.append([])
        elif token.count('"') % 2:
            raise FilterError("a quote is not closed", start + token.rindex('"'))
        else:
            alternatives[-1].append(_term(token, start))
    if not bars and not alternatives[0]:
        return matches_everything
    for index, terms in enumerate(alternatives):
        if not terms:
            raise FilterError("| needs something on both sides", bars[max(0, index - 1)])
    wholes: Tuple[Predicate, ...] = tuple(_all(terms) for terms in alternatives)
    if len(wholes) == 1:
        return wholes[0]
    return lambda row: any(whole(row) for whole in wholes)
