"""Rates, durations, sizes and probabilities as people write them.

A leaf: imports only `tremolo.exceptions`. Each `parse_*` has a `write_*` whose text it reads
as exactly the same number, or a `format_*` that is rounded for people. Units are mandatory,
since both bits and bytes are in use; messages show both forms.
"""

import re
from typing import Dict, Optional, Tuple

from .exceptions import ConfigurationError

MIN_RATE = 1.0
MAX_RATE = 1e10


class InvalidQuantity(ConfigurationError, ValueError):
    """A text that is no rate, duration, size or probability; its message is one clear line."""


_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_AMOUNT = re.compile(_NUMBER + r"\s*(?:([kKmMgG])(i?))?(bits?|[bB])", re.ASCII)
_RATE = re.compile(_NUMBER + r"\s*(?:([kKmMgG])(i?))?(bits?|[bB])(/s|ps)?", re.ASCII)
_TIME = re.compile(_NUMBER + r"\s*(us|ms|s|min)", re.ASCII)
_POWER: Dict[Optional[str], int] = {None: 0, "k": 1, "m": 2, "g": 3}
_SECONDS = {"us": 1e6, "ms": 1e3, "s": 1.0}
_RATE_FORMS = "a rate needs a unit, in bits as 750kbit or in bytes as 1.5MB"


def parse_rate(text: str) -> Optional[float]:
    """Bytes per second of `750kbit`, `1.5Mbit/s`, `1.5MB`, `2Mbps`; None of `unlimited`.

    The unit is mandatory; k, M and G are powers of 1000, with an i of 1024. A plain `b` is
    a bit where the unit is a rate (`kbps`), else too easily mistaken, and refused.
    """
    text = text.strip()
    if text.lower() == "unlimited":
        return None
    found = _RATE.fullmatch(text) or _RATE.fullmatch(_bits_in_lower_case(text))
    if found is None or (found[4] == "b" and found[5] != "ps"):
        raise InvalidQuantity(f"{text!r} is no rate: {_RATE_FORMS}")
    rate = _scaled(found[1], found[2], found[3]) / (1 if found[4] == "B" else 8)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidQuantity(f"{text!r} is not between 1B and 10GB a second; "
                              f"use 'offline' to let nothing pass")
    return rate


def parse_size(text: str) -> int:
    """Bytes of `64kB`, `1MiB`, `300B`. The unit is mandatory."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or found[4] != "B":
        raise InvalidQuantity(f"{text!r} is no size: it needs a unit, as in 300B or 64kB")
    return int(_scaled(found[1], found[2], found[3]))


def parse_duration(text: str) -> float:
    """Seconds of `150ms`, `1.5s`, `500us`, `1min`. The unit is mandatory."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise InvalidQuantity(f"{text!r} is no duration: it needs a unit, as in 150ms or 1.5s")
    if found[2] == "min":
        return float(found[1]) * 60
    return float(found[1]) / _SECONDS[found[2]]


def parse_probability(text: str) -> float:
    """0 to 1, of `5%` or `0.05`."""
    found = re.fullmatch(_NUMBER + r"\s*(%?)", text.strip(), re.ASCII)
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value <= 1:
        raise InvalidQuantity(f"{text!r} is no probability: it is written as 5% or 0.05")
    return value


def format_rate(rate: Optional[float]) -> str:
    """A rate for people, in bits as networks are named: `1.44 Mbit/s`."""
    if rate is None:
        return "unlimited"
    return _three_digits(rate * 8, (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3),
                                    ("bit/s", 1.0)))


def format_duration(seconds: float) -> str:
    """A duration for people: `563 ms`, `1.5 s`."""
    return _three_digits(seconds, (("s", 1.0), ("ms", 1e-3)))


def format_latency(milliseconds: float) -> str:
    """A percentile, of which two digits are known: "1.3 ms", "130 ms"; 0.0 is that of no request
    at all, and is shown as "–"."""
    if not milliseconds:
        return "–"
    return f"{milliseconds:.{1 if milliseconds < 9.95 else 0}f} ms"


def _three_digits(value: float, units: Tuple[Tuple[str, float], ...]) -> str:
    for unit, size in units:
        if value >= size * 0.9995 or (unit, size) == units[-1]:
            shown = value / size
            if shown >= 100:  # half upwards, where format() would round to even
                return f"{int(shown + 0.5)} {unit}"
            return f"{shown:.3g} {unit}"
    return ""


def _bits_in_lower_case(text: str) -> str:
    """`1.5MBit` and `1.5MBPS`... are not guessed at; only the word bit may be in any case."""
    return re.sub(r"bit", "bit", text, flags=re.IGNORECASE)


def _scaled(number: str, prefix: Optional[str], binary: Optional[str]) -> float:
    power = _POWER[prefix.lower() if prefix else None]
    return float(number) * float((1024 if binary else 1000) ** power)


def write_rate(rate: Optional[float]) -> str:
    """The shortest text that `parse_rate()` reads as exactly `rate`."""
    if rate is None:
        return "unlimited"
    for unit, size in (("Gbit", 1.25e8), ("Mbit", 125000.0), ("kbit", 125.0)):
        text = f"{rate / size:.10g}{unit}"
        if rate >= size and len(text) <= len(unit) + 6 and parse_rate(text) == rate:
            return text
    return _plain(rate) + "B"


def write_duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e3)):
        text = f"{seconds * size:.10g}{unit}"
        if (seconds * size >= 1 or unit == "ms") and "e" not in text and (
                parse_duration(text) == seconds):
            return text
    return _plain(seconds) + "s"


def write_probability(value: float) -> str:
    text = f"{value * 100:.10g}%"
    return text if "e" not in text and parse_probability(text) == value else _plain(value)


def _plain(value: float) -> str:
    """All digits of `value`, never with an exponent."""
    text = repr(value)
    if "e" not in text:
        return text[:-2] if text.endswith(".0") else text
    return f"{value:.340f}".rstrip("0").rstrip(".")


def counted(number: int, noun: str) -> str:
    """"1 request", "2 requests"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
