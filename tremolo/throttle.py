"""The throttle as a value: what a network is to be like, how it is written and read.

A leaf: imports only `tremolo.units` and `tremolo.scope`. Knows presets and bounds; nothing of
time, buckets or connections (those are `net.throttling`'s). Rates are bytes per second, durations
seconds, probabilities 0 to 1.
"""

import math
import re
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Dict, Mapping, Optional, Tuple, Union

from .scope import EVERYTHING, TOTAL, Scope, split_rule
from .units import (
    MAX_RATE,
    MIN_RATE,
    InvalidQuantity,
    format_duration,
    format_rate,
    parse_duration,
    parse_probability,
    parse_rate,
    parse_size,
    write_duration,
    write_probability,
    write_rate,
)

__all__ = [
    "OFF", "PRESETS", "InvalidThrottle", "Throttle", "check_scope", "format_duration",
    "format_rate", "own_presets", "parse_duration", "parse_rate", "parse_rule",
]

MAX_SECONDS = 60.0
MAX_BYTES = 2**53


class InvalidThrottle(InvalidQuantity):
    """A throttle that cannot be used; the text is one clear line."""


@dataclass(frozen=True)
class Throttle:
    """What a network is to be like. Immutable; equal when the numbers are.

    `name` and `label` name the preset that it is, if any; they do not count for equality.
    Raises InvalidThrottle naming the field for values that are not finite, negative or out
    of bounds. Rates of 0 are for `offline` only, which sets them.
    """

    #: bytes per second to the client, from it; None: unlimited
    download: Optional[float] = None
    upload: Optional[float] = None
    #: seconds before the first byte of a response, and how far that varies either way
    latency: float = 0.0
    jitter: float = 0.0
    #: probability that a request is answered with `error_status`
    error_rate: float = 0.0
    error_status: int = 503
    #: probability that the connection is reset in mid-response
    reset_rate: float = 0.0
    #: probability that a response stops in the middle and stays so
    stall_rate: float = 0.0
    #: bytes of a response's body after which the connection is closed; None: never
    cut_after: Optional[int] = None
    #: seconds between the end of the last response and closing a connection
    slow_close: float = 0.0
    #: each connection has these rates, instead of all those from one address together
    per_connection: bool = False
    #: nothing passes
    offline: bool = False
    name: str = field(default="", compare=False)
    label: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.offline is True:
            object.__setattr__(self, "download", 0.0)
            object.__setattr__(self, "upload", 0.0)
        for key, (kind, low, high) in _BOUNDS.items():
            value = _number(key, getattr(self, key), kind)
            if value is not None and not low <= value <= high and not (
                    self.offline is True and key in ("download", "upload")):
                raise InvalidThrottle(_out_of_bounds(key, value, low, high))
            object.__setattr__(self, key, value)
        for key in ("per_connection", "offline"):
            value = getattr(self, key)
            if not isinstance(value, bool):
                raise InvalidThrottle(f"{key} must be true or false, not {value!r:.60}")
        for key in ("name", "label"):
            value = getattr(self, key)
            if not isinstance(value, str):
                raise InvalidThrottle(f"{key} must be text, not {value!r:.60}")

    @property
    def active(self) -> bool:
        """It limits or disturbs anything at all."""
        return self != _NOTHING

    @property
    def faulty(self) -> bool:
        """It makes things fail, beside slowing them down."""
        return bool(self.error_rate or self.reset_rate or self.stall_rate or self.slow_close
                    or self.cut_after is not None)

    @classmethod
    def parse(
        cls, text: str, presets: Optional[Mapping[str, "Throttle"]] = None
    ) -> "Throttle":
        """The throttle of a preset's name, of `off`, or of numbers such as
        `down=1.5Mbit up=750kbit latency=150ms jitter=20ms error=5% status=503 reset=1%
        stall=1% cut=64kB close=2s per=connection`. Numbers may follow a preset to change it.

        `presets` are one's own beside PRESETS (see `own_presets()`). Raises InvalidThrottle.
        """
        known = PRESETS if presets is None else {**presets, **PRESETS}
        whole = _preset_name(text)
        if whole in known:
            return known[whole]
        words = text.replace(",", " ").split()
        if not words:
            raise InvalidThrottle("a throttle is missing: " + _forms(known))
        base = cls()
        if "=" not in words[0]:
            name = _preset_name(words.pop(0))
            if name not in known:
                raise InvalidThrottle(f"there is no throttle named {name!r}: " + _forms(known))
            base = known[name]
            if base.offline and words:
                raise InvalidThrottle("offline: nothing passes, so no numbers can follow it")
        values: Dict[str, Any] = {}
        for word in words:
            key, equals, value = word.partition("=")
            target = _KEYS.get(key.lower().replace("_", "-"))
            if not equals or target is None:
                raise InvalidThrottle(f"{word!r} is no part of a throttle: " + _forms(known))
            if target in values:
                raise InvalidThrottle(f"{key} is given twice")
            try:
                values[target] = _read(target, value)
            except InvalidQuantity as exc:
                raise InvalidThrottle(f"{key}: {exc}") from None
        if not values:
            return base
        return replace(base, name="", label="", **values)

    def __str__(self) -> str:
        """The canonical text: `parse()` of it is equal to this."""
        for name, preset in PRESETS.items():
            if preset == self:
                return name
        words = []
        for word, (key, write) in _WORDS.items():
            value = getattr(self, key)
            if value != getattr(_NOTHING, key):
                words.append(f"{word}={write(value)}")
        return " ".join(words)

    def as_dict(self) -> Dict[str, Any]:
        """All fields, for JSON."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Throttle":
        """A throttle from what another process sent: checked, and clamped to the bounds.

        Unknown fields, things that are no finite numbers and negative ones raise
        InvalidThrottle; a rate of 0 without `offline` does too.
        """
        if not isinstance(values, Mapping):
            raise InvalidThrottle(f"a throttle is an object with fields, not {values!r:.60}")
        unknown = sorted(str(key) for key in values if key not in _FIELDS)
        if unknown:
            raise InvalidThrottle(
                f"unknown field {', '.join(unknown)}: a throttle has {', '.join(_FIELDS)}")
        checked = dict(values)
        if checked.get("offline") is True:
            checked.pop("download", None)
            checked.pop("upload", None)
        for key, (kind, low, high) in _BOUNDS.items():
            if key not in checked:
                continue
            value = _number(key, checked[key], kind)
            if value is not None:
                if value < 0 or (value == 0 and low > 0 and key != "error_status"):
                    raise InvalidThrottle(_out_of_bounds(key, value, low, high))
                value = kind(min(max(value, low), high))
            checked[key] = value
        for key in ("name", "label"):
            if isinstance(checked.get(key), str):
                checked[key] = checked[key][:60]
        return cls(**checked)


#: fields that are numbers: type, lowest and highest value
_BOUNDS: Mapping[str, Tuple[type, float, float]] = {
    "download": (float, MIN_RATE, MAX_RATE),
    "upload": (float, MIN_RATE, MAX_RATE),
    "latency": (float, 0, MAX_SECONDS),
    "jitter": (float, 0, MAX_SECONDS),
    "error_rate": (float, 0, 1),
    "error_status": (int, 400, 599),
    "reset_rate": (float, 0, 1),
    "stall_rate": (float, 0, 1),
    "cut_after": (int, 0, MAX_BYTES),
    "slow_close": (float, 0, MAX_SECONDS),
}
_OPTIONAL = frozenset(("download", "upload", "cut_after"))
_FIELDS = tuple(item.name for item in fields(Throttle))


def _number(key: str, value: Any, kind: type) -> Any:
    if value is None and key in _OPTIONAL:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
        raise InvalidThrottle(f"{key} must be a finite number, not {value!r:.60}")
    if kind is int and value != int(value):
        raise InvalidThrottle(f"{key} must be a whole number, not {value!r:.60}")
    return kind(value)


def _finite(value: Union[int, float]) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def _out_of_bounds(key: str, value: Any, low: float, high: float) -> str:
    if key in ("download", "upload"):
        return (f"{key} must be from {low:g} to {high:g} bytes/s, not {value:g}; "
                f"use 'offline' to let nothing pass")
    return f"{key} must be from {low:g} to {high:g}, not {value:g}"


# Words of the text form

#: word: field, and how its value is written
_WORDS: Mapping[str, Tuple[str, Any]] = {
    "down": ("download", write_rate),
    "up": ("upload", write_rate),
    "latency": ("latency", write_duration),
    "jitter": ("jitter", write_duration),
    "error": ("error_rate", write_probability),
    "status": ("error_status", str),
    "reset": ("reset_rate", write_probability),
    "stall": ("stall_rate", write_probability),
    "cut": ("cut_after", lambda size: f"{size}B"),
    "close": ("slow_close", write_duration),
    "per": ("per_connection", lambda own: "connection" if own else "client"),
}
_KEYS: Dict[str, str] = {word: key for word, (key, _) in _WORDS.items()}
_KEYS.update((key.replace("_", "-"), key) for key in list(_KEYS.values()) if key in _BOUNDS)


def _read(key: str, text: str) -> Any:
    if key in ("download", "upload"):
        return parse_rate(text)
    if key in ("latency", "jitter", "slow_close"):
        return parse_duration(text)
    if key == "cut_after":
        return parse_size(text)
    if key == "error_status":
        if re.fullmatch("[45][0-9][0-9]", text) is None:
            raise InvalidThrottle(f"{text!r} is no status from 400 to 599")
        return int(text)
    if key == "per_connection":
        if text not in ("connection", "client"):
            raise InvalidThrottle(f"{text!r} is neither 'connection' nor 'client'")
        return text == "connection"
    return parse_probability(text)


def _forms(known: Mapping[str, Throttle]) -> str:
    return (f"give one of {', '.join(known)}, or numbers with units, "
            f'as in "down=1.5Mbit up=750kbit latency=150ms jitter=20ms" or "down=1.5MB"')


# Rules

def check_scope(scope: Scope, throttle: Throttle) -> None:
    """Raises InvalidThrottle if `throttle` cannot be for `scope`."""
    if scope == TOTAL and (
            throttle.offline or replace(throttle, download=None, upload=None) != OFF):
        raise InvalidThrottle("total: it has rates only, down= and up=")


def parse_rule(
    text: str, presets: Optional[Mapping[str, Throttle]] = None, default: Scope = EVERYTHING
) -> Tuple[Scope, Throttle]:
    """The scope and the throttle of `/api/*: 3g`, `client:10.0.0.7: 3g`, `total: down=10MB`.

    Without a scope (`slow-4g`) it is for `default`. Raises InvalidScope and InvalidThrottle.
    """
    named, value = split_rule(text)
    scope = default if named is None else named
    throttle = Throttle.parse(value, presets)
    check_scope(scope, throttle)
    return scope, throttle


# Presets

def _preset_name(text: str) -> str:
    name = re.sub(r"[\s_]+", "-", text.strip().lower())
    return _ALIASES.get(name, name)


_ALIASES = {"slow-3g": "3g", "fast-3g": "slow-4g", "regular-2g": "2g", "4g": "4g-lte",
            "regular-4g-lte": "4g-lte", "wi-fi": "wifi", "none": "off", "no-throttling": "off"}


def _chrome(name: str, label: str, down: float, up: float, latency: float) -> Throttle:
    return Throttle(download=down, upload=up, latency=latency, name=name, label=label)


def _firefox(name: str, label: str, down: float, up: float, milliseconds: int) -> Throttle:
    """Rates in Firefox's kbit/s, which are 1024 bit/s."""
    return Throttle(download=down * 128, upload=up * 128, latency=milliseconds / 1000,
                    name=name, label=label)


_NOTHING = Throttle(name="off", label="Off")
OFF = _NOTHING

#: what browsers apply under these names, by name, from off to fast
PRESETS: Mapping[str, Throttle] = MappingProxyType({preset.name: preset for preset in (
    OFF,
    Throttle(offline=True, name="offline", label="Offline"),
    _firefox("gprs", "GPRS", 50, 20, 500),
    _firefox("2g", "2G", 250, 50, 300),
    _firefox("good-2g", "Good 2G", 450, 150, 150),
    _chrome("3g", "3G", 50000, 50000, 2.0),
    _firefox("regular-3g", "Regular 3G", 750, 250, 100),
    _chrome("slow-4g", "Slow 4G", 180000, 84375, 0.5625),
    _firefox("good-3g", "Good 3G", 1.5 * 1024, 750, 40),
    _firefox("dsl", "DSL", 2 * 1024, 1024, 5),
    _firefox("4g-lte", "4G LTE", 4 * 1024, 3 * 1024, 20),
    _chrome("fast-4g", "Fast 4G", 1012500, 168750, 0.165),
    _firefox("wifi", "Wi-Fi", 30 * 1024, 15 * 1024, 2),
)})


def own_presets(specs: Mapping[str, Any]) -> Dict[str, Throttle]:
    """Presets of one's own: names to texts as `Throttle.parse()` takes, or to fields.

    Later ones may build on earlier ones. Raises InvalidThrottle naming the preset.
    """
    found: Dict[str, Throttle] = {}
    for label, spec in specs.items():
        name = _preset_name(str(label))
        if re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name) is None:
            raise InvalidThrottle(f"throttle preset {label!r}: a name has letters, digits, "
                                  f"hyphens and dots")
        if name in PRESETS or name in found:
            raise InvalidThrottle(f"throttle preset {label!r}: there is one of this name")
        try:
            value = (spec if isinstance(spec, Throttle)
                     else Throttle.parse(spec, found) if isinstance(spec, str)
                     else Throttle.from_dict(spec))
        except InvalidThrottle as exc:
            raise InvalidThrottle(f"throttle preset {label!r}: {exc}") from None
        found[name] = replace(value, name=name, label=value.label or str(label))
    return found
