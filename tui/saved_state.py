"""What is saved of a project from one run to the next: the layout, and its pins.

One small JSON file a project folder, in the user's state directory. A file that cannot be read
or written is as good as none.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from typing import Any, Dict, Mapping, Optional

VERSION = 1
LARGEST = 4 * 1024 * 1024


def state_folder(environ: Optional[Mapping[str, str]] = None) -> str:
    """`tremolo` in $XDG_STATE_HOME, or where that is by default."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.local/state")
    return os.path.join(base, "tremolo")


def path_for(project: str) -> str:
    name = os.path.basename(project) or "root"
    digest = hashlib.sha256(os.path.abspath(project).encode("utf-8", "surrogateescape"))
    file = f"{name[:40]}-{digest.hexdigest()[:12]}.json"
    return os.path.join(state_folder(), "dashboard", file)


def load(project: str) -> Dict[str, Any]:
    """What was saved for `project`; empty when there is nothing that can be used."""
    try:
        with open(path_for(project), encoding="utf-8") as file:
            found = json.loads(file.read(LARGEST))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("v") == VERSION else {}


def save(project: str, values: Mapping[str, Any]) -> None:
    """Replace what is remembered of `project`, all or nothing."""
    path = path_for(project)
    text = json.dumps({"v": VERSION, "project": project, **values}, indent=1)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    except OSError:
        return  # a layout is not worth a word at the end
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
