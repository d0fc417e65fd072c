"""What the command line of `dev` and `run` gives, read by the table of options.

A line that is written as it should be is read here. One that asks for help, or in which something
is wrong or unusual, is left to the parser of `arguments`, which is much to load for a server.
"""

from typing import Any, Dict, Optional, Sequence

from ..config import OPTIONS, Option, check


def parse(arguments: Sequence[str]) -> Dict[str, Any]:
    """The options that are given, by name, and "app". Raises ConfigurationError, and SystemExit
    once help was printed, or what is wrong."""
    given = read_plain(arguments)
    if given is None:
        from .arguments import make_parser

        given = vars(make_parser().parse_args(list(arguments)))
    return given


def read_plain(arguments: Sequence[str]) -> Optional[Dict[str, Any]]:
    """As `parse`, of words that are nothing but one APP, whole flags and their values; else
    None. Raises ConfigurationError."""
    flags = {flag: option for option in OPTIONS for flag in option.flags}
    found: Dict[str, Any] = {"app": None}
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            if found["app"] is not None:
                return None
            found["app"] = word
            continue
        flag, joined, text = word.partition("=")
        option = flags.get(flag)
        if option is None or (joined and (flag[:2] != "--" or option.kind == "bool")):
            return None
        if option.kind == "bool":
            found[option.name] = not option.default
            continue
        if not joined:
            text = next(words, "-")
            if text.startswith("-"):
                return None
        value = value_of(option, text)
        if option.kind == "list":
            found.setdefault(option.name, []).append(value)
        else:
            found[option.name] = value
    return found


def value_of(option: Option, text: str) -> Any:
    """The value that a text stands for; those of a list are looked at together, later. Raises
    ConfigurationError."""
    return text if option.kind == "list" else check(option, text)
