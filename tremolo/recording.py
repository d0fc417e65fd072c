"""While a worker runs the user's script for its `run()`, that only records what it is given.

A leaf, for `run()` of the user and the worker that runs the script both need it.
"""

import contextlib
from typing import Any, Dict, Iterator, List, NamedTuple


class Run(NamedTuple):
    """What `run()` was called with, where it only records."""

    application: Any
    options: Dict[str, Any]


class Recorded(BaseException):
    """Leaves the script where `run()` was called: what follows is not for workers."""


_recordings: List[List[Run]] = []  # of this process, while a script is being run for its run()


@contextlib.contextmanager
def recording() -> Iterator[List[Run]]:
    """While this lasts, run() adds to the list it gives and raises Recorded."""
    runs: List[Run] = []
    _recordings.append(runs)
    try:
        yield runs
    finally:
        _recordings.remove(runs)


def is_recording() -> bool:
    """Whether `run()` shall record rather than serve."""
    return bool(_recordings)


def record(application: Any, options: Dict[str, Any]) -> None:
    """Note what `run()` was called with. Always raises Recorded."""
    _recordings[-1].append(Run(application, options))
    raise Recorded
