"""The throttle in force by scope, as the server last confirmed it, and the steps to change it.

What is shown is never what was wished but what the feed says is in force.
"""

import math
from collections import deque
from dataclasses import replace
from typing import Any, Deque, Dict, List, Mapping, NamedTuple, Optional, Tuple

from tremolo.scope import EVERYTHING as EVERYTHING
from tremolo.scope import TOTAL as TOTAL
from tremolo.scope import Scope
from tremolo.throttle import OFF as OFF
from tremolo.throttle import PRESETS as BUILT_IN
from tremolo.throttle import InvalidThrottle as InvalidThrottle
from tremolo.throttle import Throttle as Throttle
from tremolo.throttle import format_rate

from .text import clean, size

DEFAULT_PRESET = "slow-4g"
CUSTOM = "custom"


class Slider(NamedTuple):
    """One number of a throttle, moved on a logarithmic scale. `kind` is "rate", "time",
    "share" or "size"."""

    field: str
    label: str
    low: float
    high: float
    steps: int
    unlimited: bool  # the top of the scale stands for no limit; else the bottom stands for 0
    kind: str
    meaning: str  # in few words


SLIDERS = (
    Slider("download", "down", 1_000, 125_000_000, 51, True, "rate",
           "what clients receive in a second"),
    Slider("upload", "up", 1_000, 125_000_000, 51, True, "rate", "what clients send in a second"),
    Slider("latency", "latency", 0.001, 10.0, 40, False, "time",
           "wait before the first byte of a response"),
    Slider("jitter", "jitter", 0.001, 2.0, 33, False, "time",
           "how far the latency varies, either way"),
    Slider("error_rate", "errors", 0.001, 1.0, 30, False, "share",
           "share that is answered with an error"),
    Slider("reset_rate", "resets", 0.001, 1.0, 30, False, "share",
           "share whose connection is reset midway"),
    Slider("stall_rate", "stalls", 0.001, 1.0, 30, False, "share",
           "share that stops midway and never ends"),
    Slider("cut_after", "cut", 1_000, 1_000_000_000, 36, True, "size",
           "of a body, then the connection ends"),
    Slider("slow_close", "close", 0.01, 60.0, 38, False, "time",
           "wait before a connection is closed"),
)


def position(slider: Slider, throttle: Throttle) -> int:
    """Where the slider's knob stands, 0 to `steps`."""
    value: Optional[float] = getattr(throttle, slider.field)
    if value is None:
        return slider.steps
    if value <= 0:
        return 0
    inner = slider.steps - (1 if slider.unlimited else 0)
    span = math.log(slider.high / slider.low)
    place = 1 + (inner - 1) * math.log(max(value, slider.low) / slider.low) / span
    return max(1, min(inner, round(place)))


def value_at(slider: Slider, place: int) -> Optional[float]:
    """The value of a knob at `place`, rounded to two digits; None is no limit."""
    if slider.unlimited and place >= slider.steps:
        return None
    if place <= 0:
        return slider.low if slider.unlimited else 0.0
    inner = slider.steps - (1 if slider.unlimited else 0)
    exact: float = slider.low * (slider.high / slider.low) ** ((place - 1) / (inner - 1))
    scale = 8 if slider.kind == "rate" else 1  # rates are read in bits: round them there
    digits = 1 - math.floor(math.log10(exact * scale))
    return min(slider.high, round(exact * scale, digits) / scale)


#: what can be chosen: the presets that everybody has, and those that the server tells of
PRESETS: Dict[str, Throttle] = dict(BUILT_IN)


def learn_presets(own: Mapping[str, Any]) -> None:
    """Take up the user's own presets from a `hello`; what is wrong with one leaves it out."""
    for name, preset in own.items():
        try:
            throttle = Throttle.from_dict(preset["throttle"])
        except (InvalidThrottle, KeyError, TypeError):
            continue
        if name not in BUILT_IN:
            PRESETS[name] = replace(throttle, name=name, label=clean(preset.get("label"), 24))


def preset_names() -> List[str]:
    """Off first, then from slow to fast."""
    return list(PRESETS)


def preset_of(throttle: Throttle) -> str:
    """The name of the preset that `throttle` equals, "off", or "custom"."""
    for name, preset in PRESETS.items():
        if preset == throttle:
            return name
    return CUSTOM


def label_of(name: str) -> str:
    """How a preset is called on screen."""
    preset = PRESETS.get(name)
    return name if preset is None else clean(preset.label or name, 24)


def stepped(base: Throttle, step: int) -> Throttle:
    """The preset `step` places from `base`; stops at both ends."""
    names = preset_names()
    current = preset_of(base)
    if current == CUSTOM:
        return PRESETS[names[-1 if step < 0 else 0]]
    return PRESETS[names[max(0, min(len(names) - 1, names.index(current) + step))]]


def moved(base: Throttle, slider: Slider, step: int) -> Throttle:
    """`base` with one slider moved by `step` places."""
    place = max(0, min(slider.steps, position(slider, base) + step))
    return with_value(base, slider, value_at(slider, place))


def with_value(base: Throttle, slider: Slider, value: Optional[float]) -> Throttle:
    """`base` with one number changed; it is no preset any more."""
    if base.offline:
        base = OFF  # its rates of 0 are not on the scale
    fields: Dict[str, Any] = {"name": "", "label": "", slider.field: value}
    return replace(base, **fields)


def describe(throttle: Throttle) -> str:
    """In words: the preset's label, or the value itself in its canonical spelling."""
    name = preset_of(throttle)
    return label_of(name) if name != CUSTOM else clean(throttle.label or str(throttle), 60)


def bits(rate: Optional[float]) -> str:
    """A rate in bit/s as the presets are labelled; "no limit" for None."""
    return "no limit" if rate is None else format_rate(rate)


def value_words(slider: Slider, throttle: Throttle) -> str:
    """The value of one number as it is shown."""
    value = getattr(throttle, slider.field)
    if slider.kind == "rate":
        return bits(value)
    if slider.kind == "size":
        return "never" if value is None else f"after {size(value)}"
    if slider.kind == "time":
        if not value:
            return "0"
        return f"{value * 1000:.0f} ms" if value < 9.9995 else f"{value:.0f} s"
    words = f"{value * 100:.3g}%"
    if value and slider.field == "error_rate":
        return f"{words} → {throttle.error_status}"
    return words


class Change(NamedTuple):
    """What was in force from an instant of the model's clock on."""

    since: float
    force: Dict[Scope, Throttle]
    total: Optional[Throttle]

    def limits(self, scope: Scope, path: str, client: Optional[Scope] = None
               ) -> Tuple[Optional[float], Optional[float]]:
        """Download and upload rate for `scope`, whose requests have `path` and are of `client`
        if known."""
        rule = self.force.get(scope)
        if rule is None and client is not None:
            rule = self.force.get(client)
        if rule is None and path:
            fitting = [known for known in self.force
                       if known.is_path and (known == path or known.covers(path))]
            rule = (self.force[min(fitting, key=lambda known: known.specificity)]
                    if fitting else None)
        if rule is None:
            rule = self.force.get(EVERYTHING)
        both = [throttle for throttle in (rule, self.total) if throttle is not None]
        return (_least([throttle.download for throttle in both]),
                _least([throttle.upload for throttle in both]))


def _least(rates: List[Optional[float]]) -> Optional[float]:
    return min((rate for rate in rates if rate is not None), default=None)


class Throttling:
    def __init__(self) -> None:
        self.changes: Deque[Change] = deque([Change(-1e9, {}, None)], maxlen=200)
        self.force: Dict[Scope, Throttle] = {}
        self.total: Optional[Throttle] = None
        self.revision = 0
        self.since = -1e9  # model clock of the last change
        self.switched_off: Dict[Scope, Throttle] = {}  # what the switch brings back

    def update(self, scopes: Mapping[str, Any], now: float) -> None:
        """What the server says is in force; a value that is no throttle raises ValueError."""
        force = {}
        self.total = None
        for text, value in scopes.items():
            if not isinstance(value, dict):
                continue
            throttle, scope = Throttle.from_dict(value), Scope(clean(text, 120))
            if scope == TOTAL:
                self.total = throttle
            elif throttle.active or scope != EVERYTHING:  # an inactive one exempts what it is for
                force[scope] = throttle
        self.force = force
        self._changed(now)

    def _changed(self, now: float) -> None:
        self.since = now
        self.revision += 1
        last = self.changes[-1]
        if (last.force, last.total) != (self.force, self.total):
            self.changes.append(Change(now, dict(self.force), self.total))

    def limits(self, scope: Scope, path: str, now: float, seconds: float, count: int,
               client: Optional[Scope] = None) -> List[Tuple[Optional[float], Optional[float]]]:
        """The rates in force for `scope` over the last `seconds`, in `count` steps."""
        steps = []
        changes = list(self.changes)
        at, known = 0, changes[0].limits(scope, path, client)
        for step in range(count):
            t = now - seconds + (step + 0.5) * seconds / count
            while at + 1 < len(changes) and changes[at + 1].since <= t:
                at += 1
                known = changes[at].limits(scope, path, client)
            steps.append(known)
        steps[-1:] = [changes[-1].limits(scope, path, client)]
        return steps

    def at(self, scope: Scope) -> Throttle:
        return self.table.get(scope, OFF)

    @property
    def table(self) -> Dict[Scope, Throttle]:
        """All that is in force, the total as well."""
        return self.force if self.total is None else {**self.force, TOTAL: self.total}

    @property
    def active(self) -> bool:
        return any(throttle.active for throttle in self.table.values())

    def assume(self, scope: Scope, throttle: Throttle, now: float) -> None:
        """An acknowledged wish; the event with the whole table follows."""
        self.force.pop(scope, None)
        if throttle.active:
            self.force[scope] = throttle
        self._changed(now)

    def headline(self) -> str:
        """For the top row: what is throttled, the widest scope first; "" when nothing is."""
        return in_words(self.table) if self.active else ""


def in_words(table: Mapping[Scope, Throttle]) -> str:
    """Throttles by scope in one line, the widest first."""
    parts = []
    for scope, throttle in sorted(table.items(), key=lambda item: (item[0] != EVERYTHING,
                                                                   item[0] == TOTAL)):
        where = "" if scope == EVERYTHING else f" on {scope.label}"
        parts.append(f"total {describe(throttle)}" if scope == TOTAL
                     else (describe(throttle) if throttle.active else "off") + where)
    return ", ".join(parts)
