"""Copying text out of the dashboard: by the terminal where it is known to obey, and always
into a file where it is not.

OSC 52 has no answer, so nobody can know whether it worked; terminals that are known to take it
are told apart by the environment.
"""

import os
from typing import Mapping, Optional

from .host import Host
from .model.bodies import extent, text_of
from .model.export import BODY_FILE, curl, needs_file
from .model.traffic import Row
from .saved_state import state_folder

_PROGRAMS = {"WezTerm", "ghostty", "rio", "vscode", "mintty", "contour"}
_TERMS = {"xterm-kitty", "foot", "foot-extra", "alacritty", "xterm-ghostty", "wezterm",
          "contour", "rio"}


def obeys(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is known to copy on OSC 52. Multiplexers stand in between."""
    if environ.get("TMUX") or environ.get("STY"):
        return False
    return (environ.get("TERM_PROGRAM") in _PROGRAMS or environ.get("TERM") in _TERMS
            or "WT_SESSION" in environ or "KITTY_WINDOW_ID" in environ)


def copy(app: Host, text: str, what: str, environ: Optional[Mapping[str, str]] = None,
         before: str = "") -> None:
    """Copy `text`, and say where to find it; `before` is what has to be done first."""
    environ = os.environ if environ is None else environ
    app.copy_to_clipboard(text)
    if obeys(environ):
        app.session.notify(f"{before}{what} copied", "warning" if before else "good")
        return
    path = os.path.join(state_folder(environ), "copied.txt")
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as exc:
        app.session.notify(
            f"{before}{what} copied, if this terminal can; {path}: {exc.strerror}", "warning")
        return
    home = os.path.expanduser("~")
    shown = "~" + path[len(home):] if path.startswith(home + os.sep) else path
    app.session.notify(f"{before}{what} copied, and in {shown}",
                       "warning" if before else "good")


def copy_curl(app: Host, row: Row) -> None:
    """Copy the command that sends the request of `row` again; it has the real values."""
    before = f"put its body into {BODY_FILE} first · " if needs_file(row) else ""
    copy(app, curl(row, app.session.addresses), "curl command", before=before)


def copy_body(app: Host, row: Row) -> None:
    """Copy the response's body, as far as it is known, if it is text."""
    response = row.response
    if response is None or not response.body:
        app.session.notify("the response's body is not known here" if response is None
                         or response.size != 0 else "the response has no body", "warning")
        return
    words = text_of(response)
    if words is None:
        app.session.notify("the response's body is not text; it is not copied", "warning")
        return
    copy(app, words, "response body" if response.body_whole else
         f"response body, {extent(response)},")
