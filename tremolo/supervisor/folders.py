"""What kind of folder it is: whose, and where. Each start asks: no more is loaded with it."""

import os
import re
import stat
from typing import Optional, Tuple

REMOTE = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf",
                    "prl_fs", "fuse.sshfs", "fuse.grpcfuse", "fuse.osxfs", "fakeowner", "afs"))

Identity = Optional[Tuple[int, int]]


def is_exposed(folder: str) -> bool:
    """Whether a folder is not one project's: the root, a home, or open to everybody."""
    if folder in (os.sep, os.path.expanduser("~")):
        return True
    try:
        return bool(os.stat(folder).st_mode & stat.S_IWOTH)
    except OSError:
        return False


def is_anybodys(folder: str) -> bool:
    """Whether everybody may replace others' files in a folder (in a sticky one, nobody can)."""
    try:
        mode = os.stat(folder).st_mode
    except OSError:
        return False
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def is_remote(folder: str) -> bool:
    """Whether a folder lies on a mount whose changes are made where nobody notifies us."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return False
    best, kind = "", ""
    for fields in mounts:
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[1])
        if len(point) >= len(best) and (folder + os.sep).startswith(point.rstrip("/") + "/"):
            best, kind = point, fields[2]
    return kind in REMOTE


def identity(folder: str) -> Identity:
    """Which folder a path leads to, following all links; None if to none."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None
