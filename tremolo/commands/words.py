"""Nearest names, for words that were mistyped."""

from typing import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """`. Did you mean "port"?`, or nothing if no name is near."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(known), 1, 0.6)
    return f'. Did you mean "{found[0]}"?' if found else ""
