"""What the import of a module did to this process that a child could not be given."""

import os
import sys
import threading
from typing import Dict, Iterable, List, Tuple

HARMLESS = ("/dev/null", "/dev/urandom", "/dev/random")


def unsharable(before: Dict[int, str]) -> str:
    """Why nothing may be forked from here any more, "" if nothing forbids it; `before`
    are the descriptors that were open before the import."""
    if len(sys._current_frames()) > 1 or threading.active_count() > 1:
        return "it starts a thread when it is imported"
    for number, target in descriptors().items():
        if before.get(number) == target or target in HARMLESS:
            continue
        if target.startswith("socket:"):
            return "it opens a socket when it is imported"
        if "nvidia" in target:
            return "it initialises CUDA when it is imported"
        return f"it keeps {target} open"
    torch = sys.modules.get("torch.cuda")
    if torch is not None and getattr(torch, "_initialized", False):
        return "it initialises CUDA when it is imported"
    return ""


def descriptors() -> Dict[int, str]:
    """The open descriptors of this process, and what they are."""
    found: Dict[int, str] = {}
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            names: Iterable[str] = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            try:
                found[int(name)] = os.readlink(os.path.join(folder, name))
            except (OSError, ValueError):
                continue  # the one that listed the folder
        break
    return found


def written() -> Tuple[int, int]:
    """How much has been written into standard output and error, if they are files."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return os.fstat(1).st_size, os.fstat(2).st_size


def written_since(before: Tuple[int, int]) -> List[Tuple[int, str]]:
    found = []
    for number, start, end in zip((1, 2), before, written()):
        if end > start:
            found.append((number, os.pread(number, end - start, start).decode(
                "utf-8", "backslashreplace")))
    return found
