"""The parent of one companion: runs it in a session of its own and ends all of it.

A small process between the supervisor and the companion, so that the companion's whole process
group ends also when the supervisor is killed: the end of its standard input means just that. On
its standard output it reports what becomes of the companion, a line each:

    started PID
    failed TEXT           it could not be started
    exited WAIT-STATUS    it ended, and so did all that it had started in its process group
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any, Callable, List, Optional

GRACE = 3.0  # seconds between SIGTERM and SIGKILL
KILL_LIMIT = 2.0
LOOK = 0.02
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(output: int, argv: List[str], folder: str, grace: float = GRACE) -> int:
    """Run `argv` in `folder`, its output going to the descriptor `output`; the exit code. What
    is to end has `grace` seconds from SIGTERM to SIGKILL."""
    wake, woken = os.pipe()
    for fd in (wake, woken):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # what to do comes over the standard input
    try:
        # Programs that watch files end at the end of their input: an open pipe never ends.
        process = subprocess.Popen(
            argv, cwd=folder or None, stdin=subprocess.PIPE, stdout=output, stderr=output,
            start_new_session=True, preexec_fn=_dying_with_us())
    except OSError as exc:
        _report(f"failed {_reason(exc, argv, folder)}")
        return 1
    os.close(output)
    _report(f"started {process.pid}")
    status = _end_group(process.pid, _wait(process.pid, wake), grace)
    process.returncode = 0  # reaped, and not by itself
    _report(f"exited {0 if status is None else status}")
    return 0


def _dying_with_us() -> Optional[Callable[[], Any]]:
    """Where the system can do that: has the companion ended when this process is killed."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        from ctypes import CDLL

        prctl = CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _reason(exc: OSError, argv: List[str], folder: str) -> str:
    if folder and not os.path.isdir(folder):
        return f"there is no folder {folder}"
    if isinstance(exc, FileNotFoundError):
        return f"command not found: {argv[0]}"
    return f"{argv[0]}: {exc.strerror or exc}"


def _report(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(1, line.replace("\n", " ").encode("utf-8", "surrogateescape") + b"\n")


def _wait(pid: int, wake: int) -> Optional[int]:
    """Wait until the companion ends, for its status; or (None) until it is to be ended."""
    while True:
        status = _reap(pid)
        if status is not None:
            return status
        ready = select.select([0, wake], [], [])[0]
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 512)
        if 0 in ready and not os.read(0, 512):
            return None


def _reap(pid: int) -> Optional[int]:
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if found else None


def _end_group(group: int, status: Optional[int], grace: float) -> Optional[int]:
    """End what is left of the companion's process group: kindly, then not. The companion's own
    status, unless that is known."""
    for number, limit in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_LIMIT)):
        if not group_lives(group):
            break
        with contextlib.suppress(OSError):
            os.killpg(group, number)
        deadline = time.monotonic() + limit
        while group_lives(group) and time.monotonic() < deadline:
            time.sleep(LOOK)
            status = _reap(group) if status is None else status
    return _reap(group) if status is None else status


def group_lives(group: int) -> bool:
    """Whether a process group has a process that has not ended; ended ones may wait for ever to
    be reaped by somebody else."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        names = []
    return any(_is_member(name, group) for name in names) if names else True


def _is_member(name: str, group: int) -> bool:
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            state, _, found = file.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(found) == group and state not in (b"Z", b"X")
