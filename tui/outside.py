"""What happens outside the dashboard: the editor, the browser, the plain log.

Imported on first use. While the terminal is lent out nothing is drawn; the server does not
notice.
"""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any, Iterator, List, Union

from .feed import Feed
from .host import Host
from .model import text
from .model.export import url
from .model.logs import Error
from .model.requests import Malformed, Request, as_text, from_text
from .model.session import Session
from .model.traffic import Endpoint, Row, Rule

LAST_LINES = 200
LARGEST_EDITED = 4 * 1024 * 1024  # bytes of a request that was edited
_COLON = {"subl", "zed", "hx", "helix", "zeditor"}
_GOTO = {"code", "code-insiders", "codium", "cursor", "windsurf"}


def editor_command(editor: str, file: str, line: int) -> List[str]:
    """The command that opens `file` at `line`, in the spelling that `editor` understands."""
    words = shlex.split(editor) or ["vi"]
    name = os.path.basename(words[0])
    file = os.path.abspath(file)
    if line <= 0:
        return [*words, file]
    if name in _GOTO:
        return [*words, "-g", f"{file}:{line}"]
    if name in _COLON:
        return [*words, f"{file}:{line}"]
    return [*words, f"+{line}", file]


def waiting_command(editor: str, file: str) -> List[str]:
    """The command that edits `file` and ends when that is done."""
    command = editor_command(editor, file, 0)
    detached = os.path.basename(command[0]) in _GOTO | {"subl", "zed", "zeditor"}
    if detached and not {"-w", "--wait"} & set(command):
        command.insert(1, "--wait")
    return command


def _editor() -> str:
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"


def _lend(app: Host, command: List[str], first: str = "", lost: str = "") -> bool:
    """Run `command` on the terminal, below the words `first`; whether it ended well. If not, the
    user is notified why, and of what is `lost` by it."""
    from textual.app import SuspendNotSupported

    code = None
    lost = f"; {lost}" if lost else ""
    try:
        with app.suspend(), _deaf():
            if first:
                print(first, flush=True)
            code = subprocess.call(command, preexec_fn=_hear)
        if code:
            app.session.notify(f"{text.clean(command[0])} ended with {code}{lost}",
                               "error" if lost else "warning")
    except OSError as exc:
        app.session.notify(f"{text.clean(command[0])}: {exc.strerror}; set EDITOR{lost}",
                           "error")
    except SuspendNotSupported:
        app.session.notify(f"this terminal cannot be lent to an editor{lost}", "error")
    app.refresh()
    app.news()
    return code == 0


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl+C is for the program that has the terminal, not for the dashboard behind it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _hear() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def debug(app: Host, pid: int, words: str) -> None:
    """Give the terminal to the debugger of the worker `pid`, until the program goes on."""
    if not app.debugger:
        app.session.notify("\"tremolo debug\" in another terminal is the debugger", "warning")
        return
    lead = (f"{words.partition(': ')[0]}\n"
            "h lists the commands; c lets the program go on and brings the dashboard back\n")
    if _lend(app, [*app.debugger, "debug", str(pid)], lead):
        app.session.notify("the program goes on", "good")


def edit(app: Host, error: Union[Error, Endpoint, None]) -> None:
    session = app.session
    if error is None or not error.file:
        session.notify("no place in a file is known here", "warning")
        app.news()
        return
    try:
        command = editor_command(_editor(), error.file, error.line)
    except ValueError as exc:
        session.notify(f"EDITOR is no command: {exc}", "error")
        return
    if not os.path.exists(command[-1].rsplit(":", 1)[0]):
        session.notify(f"{error.file} is not here", "warning")
        app.news()
        return
    _lend(app, command)


def edit_request(app: Host, request: Request) -> None:
    """Let the user change `request` in the editor, and send it if it was changed.

    The file lies in a folder of its own, both for this user only: the request may hold
    secrets, and editors leave copies beside what they edit. Nothing of it stays.
    """
    notify = app.session.notify
    try:
        before = as_text(request).encode("utf-8")
    except ValueError:
        notify("its body is binary and cannot be edited; r sends it as it is", "warning")
        return
    try:
        with tempfile.TemporaryDirectory(prefix="tremolo-") as folder:
            path = os.path.join(folder, "request.http")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(before)
            if not _lend(app, waiting_command(_editor(), path), lost="nothing was sent"):
                return
            with open(path, "rb") as file:
                after = file.read(LARGEST_EDITED + 1)
    except OSError as exc:
        notify(f"the request could not be edited: {exc.strerror}", "error")
        return
    except ValueError as exc:
        notify(f"EDITOR is no command: {exc}", "error")
        return
    if len(after) > LARGEST_EDITED:
        notify(f"more than {LARGEST_EDITED >> 20} MiB; nothing was sent", "error")
        return
    try:
        edited = from_text(after, request)
    except Malformed as exc:
        notify(f"{exc}; nothing was sent", "error")
        return
    if after == before or edited == from_text(before, request):
        notify("it was not changed; nothing was sent", "info")
        return
    app.send_now(edited)


def open_url(app: Host) -> None:
    """The selected GET request's URL, else the server's address, in the user's browser."""
    import webbrowser

    session = app.session
    row = app.selected_row()
    target = next((a for a in session.addresses if a.startswith("http")), "")
    if row is not None and row.method == "GET" and "…" not in row.path and target:
        target = url(row, session.addresses)
    if not target:
        session.notify("no address that a browser could open", "warning")
        return
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        session.notify(f"no browser here; {target}", "warning")
        app.news()
        return
    if type(browser) is webbrowser.GenericBrowser:  # one that would draw on this terminal
        session.notify(f"only a terminal browser here; {target}", "warning")
    else:
        threading.Thread(target=browser.open, args=(target,), daemon=True).start()
        session.notify(f"opened {target}", "info")
    app.news()


def plain_line(row: Row) -> str:
    """One request as the plain mode prints it."""
    return (f"{text.clock(row.t, True)} {row.method} {row.path} {row.status or '-'} "
            f"{text.millis(row.ms)}ms {row.bytes_out}b gen={row.gen} pid={row.pid}"
            + (" cut off" if row.state == "aborted" else ""))


def plain_log(app: Host) -> None:
    """Print requests and log lines on the normal screen until a key is pressed."""
    import termios
    import tty

    feed, session = app.feed, app.session
    if not sys.__stdin__ or not sys.__stdin__.isatty():
        return
    with app.suspend():
        fd = sys.__stdin__.fileno()
        before = termios.tcgetattr(fd)
        print("\ntremolo: plain log; any key returns to the dashboard\n")
        try:
            tty.setcbreak(fd)
            _print_until_key(fd, feed, session)
        finally:
            termios.tcsetattr(fd, termios.TCSANOW, before)
    app.refresh()
    if feed.ended is not None:
        app.exit()
    app.news()


def _print_until_key(fd: int, feed: Feed, session: Session) -> None:
    row_seen = session.traffic.entries[-1].uid if session.traffic.entries else 0
    line_seen = session.log.lines[-1].uid if session.log.lines else 0
    row_seen, line_seen = max(0, row_seen - 10), max(0, line_seen - 10)
    while feed.ended is None:
        fresh: List[Any] = []
        for entry in reversed(session.traffic.entries):
            if entry.uid <= row_seen:
                break
            fresh.append(entry)
        lines = [line for line in session.log.lines if line.uid > line_seen]
        shown = [(entry.t, plain_line(entry) if not isinstance(entry, Rule) else
                  f"{text.clock(entry.t, True)} {entry.label}") for entry in fresh]
        shown += [(line.t, f"{text.clock(line.t, True)} {line.level} "
                           + "".join(run for _, run in text.colour_runs(line.raw)))
                  for line in lines]
        for _, words in sorted(shown):
            print(words)
        row_seen = fresh[0].uid if fresh else row_seen
        line_seen = lines[-1].uid if lines else line_seen
        sys.stdout.flush()
        ready, _, _ = select.select([fd, feed.sock.fileno()], [], [], 0.5)
        if fd in ready:
            os.read(fd, 64)
            return
        if ready:
            feed.readable()


def last_words(app: Host) -> None:
    """On the normal screen, at the end: what the application wrote last, and why all ended."""
    session, feed = app.session, app.feed
    lines = [line for line in session.log.lines if line.stream not in ("tremolo", "companion")]
    for line in lines[-LAST_LINES:]:
        print("".join(run for _, run in text.colour_runs(line.raw)))
    if feed.ended is not None and not app.ending.asked:
        error = session.errors.items[-1] if session.errors.items else None
        cause = feed.ended or (f"{error.where}: {error.title}" if error else "")
        if error is not None and error.type == "ConfigurationError" and not feed.ended:
            print(f"tremolo: {error.text}", file=sys.stderr)  # what was typed, not the server
            return
        print(f"tremolo: the server ended{': ' + cause if cause else ''}", file=sys.stderr)
