"""The filter language: one line of text, compiled once to a closure over a row.

Space is *and*, `|` is *or* (it binds weaker), `!` is *not*. A bare word is a substring of
the path, as it was sent or decoded. Terms: `m:post` `s:5xx` `s!=200` `ms>50` `ttfb>20`
`size>10k` `in>1M` `route:/api/*` `type:json` `ip:10.0.0.7` `gen:14` `pid:4711` `conn:88` `ws:`
`sse:` `live:` `err:` `throttled:` `marked:`, and where headers and bodies are known
`h:word` (a line "name: value" of either head) and `b:word` (the known part of either body);
quotes keep spaces together. `method:`, `status:` and the like are understood as well.

The same language says which requests to hold before the application sees them, and which lines of
the log to show, with the terms that have a meaning there.
Invalid text raises `FilterError` with the place; the caller keeps its last good filter.
"""

import operator
import re
from fnmatch import translate
from functools import lru_cache
from typing import Any, Callable, Collection, Dict, List, NamedTuple, Optional, Set, Tuple

Predicate = Callable[[Any], bool]

_TOKEN = re.compile(r'\s*(\||(?:"[^"]*"?|[^\s|"])+)')
_TERM = re.compile(r"^([A-Za-z][A-Za-z_-]*)(!=|>=|<=|==|:|=|>|<)(.*)$", re.S)
_NUMBER = re.compile(r"^(\d+(?:\.\d+)?|\.\d+)(ms|us|s|b|k|kb|kib|m|mb|mib|g|gb)?$", re.I)
_SIZE_UNITS = {"": 1, "b": 1, "k": 1e3, "kb": 1e3, "kib": 1024, "m": 1e6, "mb": 1e6,
               "mib": 1024 * 1024, "g": 1e9, "gb": 1e9}
_TIME_UNITS = {"": 1, "ms": 1, "us": 0.001, "s": 1000}
_QUANTITIES = {"ms": "ms", "ttfb": "ttfb_ms", "size": "bytes_out", "in": "bytes_in",
               "throttle": "throttle_ms"}
_WHOLE = ("gen", "pid", "conn")
_WORDS = ("m", "route", "h", "b", "type", "ip")
_FLAGS = ("ws", "sse", "live", "err", "throttled", "marked")
_ALIASES = {"method": "m", "status": "s", "header": "h", "headers": "h", "body": "b",
            "path": "path", "error": "err", "time": "ms", "websocket": "ws", "peer": "ip"}
_KEYS = (*_QUANTITIES, *_WHOLE, *_WORDS, *_FLAGS, "s", "path")
_COMPARE: Dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
    ":": operator.eq, "=": operator.eq, "==": operator.eq, "!=": operator.ne}

HELP = ("path word   m:post   s:5xx s:404 s!=200   ms>50 ttfb>20   size>10k in>1M   "
        "route:/api/*   type:json   ip:10.0.0.7   gen:14 pid:4711 conn:88   ws: sse: live: "
        "err: throttled: marked:   h:cookie b:total   "
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


def _status(sign: str, text: str, place: int) -> Predicate:
    """A status, a class of them (5xx), or the beginning of one that is being typed."""
    if re.match(r"^[1-5](x|xx)?$", text, re.I):
        low = int(text[0]) * 100
        high = low + 99
    elif re.match(r"^[0-9]{3}$", text):
        low = high = int(text)
    else:
        raise FilterError("s: needs a status such as 404 or 5xx", place)
    if sign in (":", "=", "=="):
        return lambda row: bool(low <= row.status <= high)
    if sign == "!=":
        return lambda row: not low <= row.status <= high
    compare = _COMPARE[sign]
    edge = high if sign in (">", "<=") else low
    return lambda row: bool(row.status) and compare(row.status, edge)


def _integer(column: str, sign: str, text: str, place: int) -> Predicate:
    if not text.isdigit() or not text.isascii():
        raise FilterError(f"{column}: needs a number", place)
    value, compare = int(text), _COMPARE[sign]
    return lambda row: compare(getattr(row, column), value)


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


def _type(text: str, place: int) -> Predicate:
    """A part of the media type of the response, as far as its headers are known."""
    word = _media(text, place)
    return lambda row: (row.response is not None
                        and word in row.response.field("content-type").lower())


def _media(text: str, place: int) -> str:
    if not text:
        raise FilterError("type: needs a word such as json", place)
    return text.lower()


def _flag(name: str) -> Predicate:
    if name == "ws":
        return lambda row: bool(row.http == "ws" or row.status == 101)
    if name == "live":
        return lambda row: bool(row.state == "live")
    if name == "err":
        return lambda row: bool(row.error or row.status >= 500 or row.state == "aborted")
    if name == "throttled":
        return lambda row: bool(row.throttle_ms > 0)
    return lambda row: bool(getattr(row, name))


def _path(word: str) -> Predicate:
    word = word.lower()
    if "*" in word:
        pattern = re.compile(translate("*" + word + "*"))
        return lambda row: bool(pattern.match(row.path.lower())
                                or pattern.match(row.shown_path.lower()))
    if word.isascii():
        return lambda row: word in row.path.lower()
    return lambda row: word in row.shown_path.lower()


def _text_term(key: str, value: str, place: int) -> Predicate:
    if key == "m":
        method = value.upper()
        return lambda row: bool(row.method.startswith(method))
    if key == "route":
        return _route(value)
    if key == "type":
        return _type(value, place)
    if key == "ip":
        if not value:
            raise FilterError("ip: needs an address such as 127.0.0.1", place)
        return lambda row: bool(row.peer.strip("[").startswith(value))
    if key == "path":
        return _path(value)
    return _within(key, value, place)


def _known(key: str, sign: str, place: int) -> str:
    """The key by its own name; "" if the term is no term but a part of a path."""
    lower = key.lower()
    lower = _ALIASES.get(lower, lower)
    if lower in _KEYS:
        return lower
    from difflib import get_close_matches  # only mistakes need it

    near = get_close_matches(lower, [*_KEYS, *_ALIASES], 1, 0.7 if len(lower) > 2 else 0.99)
    if sign in ("=", "==") and not near:
        return ""  # as in a query: page=2
    raise FilterError(f"no term {key}{sign}"
                      + (f", did you mean {near[0]}:?" if near else "; quotes find it in paths"),
                      place)


def _not(inner: Predicate) -> Predicate:
    return lambda row: not inner(row)


def _term(text: str, place: int) -> Predicate:
    if text.startswith("!"):
        if len(text) == 1:
            raise FilterError("! needs something to exclude", place)
        return _not(_term(text[1:], place + 1))
    found = None if "://" in text else _TERM.match(text)
    key = _known(found.group(1), found.group(2), place) if found else ""
    if found is None or not key:
        return _path(text.replace('"', ""))
    sign, value = found.group(2), found.group(3).replace('"', "")
    at, after = place + found.start(2), place + found.start(3)
    if key in _QUANTITIES:
        if sign == ":":
            raise FilterError(f"{key} is compared: {key}>50" if key in ("ms", "ttfb", "throttle")
                              else f"{key} is compared: {key}>10k", at)
        limit, column, compare = _quantity(key, value, after), _QUANTITIES[key], _COMPARE[sign]
        return lambda row: compare(getattr(row, column), limit)
    if key == "s":
        return _status(sign, value, after)
    if key in _WHOLE:
        return _integer(key, sign, value, after)
    if sign not in (":", "=", "==", "!="):
        raise FilterError(f"{key} is no number: {key}: and != are possible", at)
    if key in _FLAGS:
        if value:
            raise FilterError(f"{key}: stands alone", after)
        inner = _flag(key)
    else:
        inner = _text_term(key, value, after)
    return _not(inner) if sign == "!=" else inner


# -- what is held

_ASKED = ("m", "path", "route", "h", "type", "ip", "pid", "conn", "ws", "in")
_UNASKED = {"b": "its body has not come yet", "gen": "all that come are of the newest generation",
            "marked": "it is in no list yet", "live": "none of them is answered yet"}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


def _asked_term(text: str, place: int) -> Predicate:
    if text.startswith("!") and len(text) > 1:
        return _not(_asked_term(text[1:], place + 1))
    if text in _METHODS:
        return lambda row: bool(row.method == text)
    found = None if "://" in text else _TERM.match(text)
    key = _known(found.group(1), found.group(2), place) if found else ""
    if found is None or not key:
        return _term(text, place)
    if key not in _ASKED:
        why = _UNASKED.get(key, "that is known only once it was answered")
        raise FilterError(f"{key}: cannot be held by: {why}", place)
    inner = _term(text, place)  # which finds what is wrong with it
    if key == "type":
        word = _media(found.group(3).replace('"', ""), place)
        inner = lambda row: word in row.request.field("content-type").lower()  # noqa: E731
        return _not(inner) if found.group(2) == "!=" else inner
    return inner


def compile_hold(text: str) -> Predicate:
    """The predicate for requests that nobody has answered: the terms of a filter that are known
    then, `type:` being that of the request's body, and a method in capitals by itself
    (`POST /api/*`). Raises FilterError."""
    return _compiled(text, _asked_term)


# -- what is looked for

#: keys of what workers judge as a request begins, as it ends, and show before all else
BEGUN = ("path", "m", "ip", "conn", "pid")
ENDED = ("s", "ms", "ttfb", "size", "in")
REMARKABLE = ("err", "ws", "sse", "live")


class Part(NamedTuple):
    """What a filter says with terms that are known at some point: all that it lets through
    matches this. `keys` are those of its terms; nothing that took less than `least_ms` does."""

    matches: Predicate
    keys: Set[str]
    least_ms: float


def compile_part(text: str, known: Collection[str]) -> Optional[Part]:
    """What a filter says with terms of `known` keys; None if that is nothing. Bare words have
    the key "path". Raises FilterError."""
    keys: Set[str] = set()
    least: Dict[Predicate, float] = {}

    def part(text: str, place: int) -> Predicate:
        inner = _term(text, place)
        found = None if "://" in text else _TERM.match(text.lstrip("!"))
        key = _known(found.group(1), found.group(2), place) if found else ""
        if (key or "path") not in known:
            return matches_everything
        keys.add(key or "path")
        if found and key == "ms" and found.group(2) in (">", ">=") and text[0] != "!":
            least[inner] = _quantity(key, found.group(3).replace('"', ""), place)
        return inner

    alternatives = [[term for term in terms if term is not matches_everything]
                    for terms in _alternatives(text, part)]
    if not all(alternatives):
        return None
    return Part(_any(alternatives), keys, min(
        max(least.get(term, 0.0) for term in terms) for terms in alternatives))


@lru_cache(16)
def is_judged(text: str) -> bool:
    """Whether workers can judge by it which of too many requests to show. Raises FilterError."""
    return not text or compile_part(text, (*BEGUN, *ENDED, *REMARKABLE)) is not None


# -- the log

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "critical": 50,
           "fatal": 50}
_LOG_KEYS = ("pid", "gen", "level", "name", "stream")


def _log_term(text: str, place: int) -> Predicate:
    if text.startswith("!"):
        if len(text) == 1:
            raise FilterError("! needs something to exclude", place)
        return _not(_log_term(text[1:], place + 1))
    found = _TERM.match(text)
    key = found.group(1).lower() if found else ""
    if found is None or key not in _LOG_KEYS:
        word = text.replace('"', "").lower()
        return lambda line: word in line.text.lower()
    sign, value = found.group(2), found.group(3).replace('"', "").lower()
    after = place + found.start(3)
    if key in ("pid", "gen"):
        return _integer(key, sign, value, after)
    if sign not in (":", "=", "==", "!=") and key != "level":
        raise FilterError(f"{key} is no number: {key}: and != are possible", place + len(key))
    if key == "level":
        if value not in _LEVELS:
            raise FilterError(f"level: is one of {', '.join(_LEVELS)}", after)
        rank, compare = _LEVELS[value], _COMPARE[sign]
        return lambda line: compare(line.rank, rank)
    inner: Predicate = lambda line: value in str(getattr(line, key)).lower()  # noqa: E731
    return _not(inner) if sign == "!=" else inner


def compile_search(text: str) -> Predicate:
    """The predicate for lines of the log: words that they contain, and `pid:` `gen:` `level:`
    `name:` `stream:` with the same signs as in filters. Raises FilterError."""
    return _compiled(text, _log_term)


def words_of(text: str) -> List[str]:
    """The bare words of a search, in lower case: what to show where it was found."""
    words = []
    for found in _TOKEN.finditer(text):
        token = found.group(1)
        term = _TERM.match(token)
        if not token.startswith(("!", "|")) and not (
                term and term.group(1).lower() in _LOG_KEYS):
            words.append(token.replace('"', "").lower())
    return [word for word in words if word]


def _all(terms: List[Predicate]) -> Predicate:
    if len(terms) == 1:
        return terms[0]
    return lambda row: all(term(row) for term in terms)


def compile_filter(text: str) -> Predicate:
    """The predicate for rows; raises FilterError."""
    return _compiled(text, _term)


def _compiled(text: str, term: Callable[[str, int], Predicate]) -> Predicate:
    alternatives = _alternatives(text, term)
    return _any(alternatives) if alternatives[0] else matches_everything


def _any(alternatives: List[List[Predicate]]) -> Predicate:
    wholes: Tuple[Predicate, ...] = tuple(_all(terms) for terms in alternatives)
    if len(wholes) == 1:
        return wholes[0]
    return lambda row: any(whole(row) for whole in wholes)


def _alternatives(text: str, term: Callable[[str, int], Predicate]) -> List[List[Predicate]]:
    """The terms of each alternative: of one without any, if the text is empty."""
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
            alternatives[-1].append(term(token, start))
    if not bars and not alternatives[0]:
        return alternatives
    for index, terms in enumerate(alternatives):
        if not terms:
            raise FilterError("| needs something on both sides", bars[max(0, index - 1)])
    return alternatives
