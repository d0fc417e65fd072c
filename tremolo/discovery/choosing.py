"""Choosing between several applications: asked in a terminal, listed elsewhere."""

import sys
from typing import List

from ..exceptions import ConfigurationError
from .project import Choice


def choose_one(found: List[Choice], command: str, ask: bool) -> Choice:
    """The only one, or the one that the user names. Raises ConfigurationError with the list
    where nobody can be asked."""
    if len(found) == 1:
        return found[0]
    if ask:
        return _ask(found)
    width = max(len(choice.command) for choice in found)
    lines = [f"  {command} {choice.command.ljust(width)}  {choice.framework}".rstrip()
             for choice in found]
    raise ConfigurationError("\n".join([
        "Several applications fit. Say which one:", *lines,
        'or put it into pyproject.toml:  [tool.tremolo]  app = "..."']))


def _ask(found: List[Choice]) -> Choice:
    width = max(len(choice.command) for choice in found)
    print("Several applications fit:")
    for number, choice in enumerate(found, 1):
        print(f"  {number}  {choice.command.ljust(width)}  {choice.framework}".rstrip())
    while True:
        sys.stdout.write(f"Which one? [1-{len(found)}, Enter: 1] ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        text = line.strip()
        if not line:
            raise ConfigurationError("No application was chosen")
        if not text:
            return found[0]
        if text.isdigit() and 1 <= int(text) <= len(found):
            return found[int(text) - 1]
        for choice in found:
            if text == choice.command:
                return choice
