"""Words of the command line: nearest names for mistyped ones, and durations."""

from typing import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """`. Did you mean "port"?`, or nothing if no name is near."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(known), 1, 0.6)
    return f'. Did you mean "{found[0]}"?' if found else ""


def milliseconds(value: float) -> str:
    """A duration of requests; none is known where there was no request."""
    return f"{value:.1f} ms" if value else "–"
