"""What the system says of this process: its memory, and how much it has to do."""

import os
import time


def resident() -> int:
    """Bytes of this process that are in memory."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


class Occupied:
    """A clock of the seconds in which the process had something to do: those in which its first
    thread ran or waited for a processor, where Linux says so (proc(5), `schedstat`), else those
    in which any of its threads ran."""

    def __init__(self, path: str = "/proc/self/schedstat") -> None:
        self._path = path

    def __call__(self) -> float:
        try:
            with open(self._path, "rb", buffering=0) as file:
                ran, waited = file.read().split()[:2]
            return (int(ran) + int(waited)) / 1e9
        except (OSError, ValueError):
            return time.process_time()
