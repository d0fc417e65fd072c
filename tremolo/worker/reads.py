"""Files that this process has read and may still know by heart: templates above all.

An audit hook sees each file that Python opens. Of those that are no code and not installed it
notes what they held, and whether a later change of them can be expected to be seen without new
code. That is so when they are opened anew for each request, or were opened because a request
named them, as static files are. It is not so for what was read at import or startup, and for
what a template engine read, for these keep it. What this process writes itself never counts.

Reports nothing by itself; `stale` answers when it is asked.
"""

import os
import sys
import threading
import time
from hashlib import blake2b
from types import FrameType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Set,
    Tuple,
)

from ..protocol.paths import percent_decode
from .imports import opens_to_write
from .installed import is_installed

if TYPE_CHECKING:
    from ..net.server import Server

MAX_FILES = 5_000
MAX_DIGESTED = 1 << 20
MAX_FRAMES = 60
MAX_CHECKED = 500  # files at a time
OPENED_ANEW = 3  # requests that opened a file: it is read for each

#: packages that keep the templates which they have read
ENGINES = ("jinja2", "django.template", "mako", "chameleon", "genshi", "tornado.template",
           "Cheetah", "pystache", "chevron", "liquid", "airspeed", "quik", "kajiki")
#: texts that people write, and programs may keep when they have read them for a request
TEXTS = (".html", ".htm", ".xhtml", ".jinja", ".jinja2", ".j2", ".tmpl", ".tpl", ".mako", ".txt",
         ".md", ".rst", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".sql", ".graphql",
         ".po", ".mo", ".ftl")
#: bytecode, databases, logs, locks
NOISE = (".py", ".pyc", ".pyo", ".so", ".db", ".db-wal", ".db-shm", ".db-journal", ".sqlite",
         ".sqlite3", ".log", ".lock", ".pid", ".sock", ".swp", ".tmp", "~")
FOLDERS = ("__pycache__", ".git", ".hg", "node_modules", ".venv", "venv", ".mypy_cache",
           ".pytest_cache", ".ruff_cache")
#: of the system; a template there is installed rather than edited
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib/", "/lib64/", "/bin/", "/run/",
          "/var/lib/", "/var/run/")


Mark = Tuple[int, int, int]
Request = Tuple[int, str, float]  # number, path, start by the wall clock


class Read:
    """What is known of one file: how it was when it was read, and by whom."""

    __slots__ = ("digest", "engine", "last", "mark", "mixed", "reported", "requests", "startup")

    def __init__(self, mark: Optional[Mark], digest: str, startup: bool, engine: bool) -> None:
        self.mark = mark  # None: it was not there
        self.digest = digest  # "": it is too large for one
        self.startup = startup
        self.engine = engine
        self.requests = 0 if startup else 1
        self.last = 0  # the newest request that may have opened it
        self.mixed = False  # it was read again, and held something else
        self.reported: Optional[Mark] = None

    @property
    def kept(self) -> bool:
        """Whether a change of the file may go unseen."""
        return self.engine or self.startup or self.requests < OPENED_ANEW


class ReadFiles:
    """The files that were read, from `install` on. A file that this process writes is given to
    `wrote(path)`, once. Until `serve` is called everything is read at startup."""

    def __init__(self, wrote: Callable[[str], None]) -> None:
        self._home = ""
        self._wrote = wrote
        self._importing: Callable[[], bool] = lambda: False
        self._requests: Optional[Callable[[], Iterable[Request]]] = None
        self._files: Dict[str, Read] = {}
        self._names: Set[str] = set()  # of files that engines read
        self._own: Set[str] = set()
        self._turn: List[str] = []
        self._busy = threading.local()
        self._process = os.getpid()

    def install(self, importing: Callable[[], bool]) -> None:
        """Watch from now on, in the working directory of the project; an audit hook cannot be
        removed. What is read while a module is `importing()` is read at startup."""
        self._home = os.path.join(os.getcwd(), "")
        self._importing = importing
        self._process = os.getpid()
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self._hook)

    def serve(self, requests: Callable[[], Iterable[Request]]) -> None:
        """From now on `requests()` are answered."""
        self._requests = requests

    def _hook(self, event: str, arguments: Tuple[Any, ...]) -> None:
        if event == "open":
            path, writes = arguments[0], opens_to_write(arguments[1], arguments[2])
        elif event == "os.rename":
            path, writes = arguments[1], True
        else:
            return
        if getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            if os.getpid() == self._process:
                self._note(path, writes)
        finally:
            self._busy.now = False

    def _note(self, path: Any, writes: bool) -> None:
        if isinstance(path, (bytes, os.PathLike)):
            path = os.fsdecode(path)
        if not isinstance(path, str):
            return  # a descriptor
        path = os.path.abspath(path)
        if path in self._own or not self._counts(path):
            return
        if writes:
            self._files.pop(path, None)
            if len(self._own) < MAX_FILES:
                self._own.add(path)
                self._wrote(path)
        elif path in self._files:
            self._again(path, self._files[path])
        elif len(self._files) < MAX_FILES:
            self._first(path)

    def _counts(self, path: str) -> bool:
        if path.endswith(NOISE) or is_installed(path):
            return False
        if path.startswith(self._home):
            path = path[len(self._home):]
            return not any(part in FOLDERS for part in path.split(os.sep))
        return not path.startswith(SYSTEM) and f"{os.sep}." not in path

    def _first(self, path: str) -> None:
        engine = is_engine(sys._getframe(3))
        startup = self._requests is None or self._importing()
        mark = mark_of(path)
        requests = [] if startup or self._requests is None else list(self._requests())
        if not (engine or startup):
            if mark is None or not path.endswith(TEXTS) or not path.startswith(self._home):
                return
            name = os.path.basename(path)
            if any(is_named(name, asked) or mark[0] > began * 1e9
                   for _, asked, began in requests):
                return  # a static file, or one that was made for this request
        read = self._files[path] = Read(mark, digest_of(path, mark), startup, engine)
        read.last = max((number for number, _, _ in requests), default=0)
        if engine:
            self._names.add(os.path.basename(path))

    def _again(self, path: str, read: Read) -> None:
        mark = mark_of(path)
        if mark != read.mark and (mark is None or not read.digest
                                  or digest_of(path, mark) != read.digest):
            read.mixed = True
        if not read.engine and is_engine(sys._getframe(3)):
            read.engine = True
            self._names.add(os.path.basename(path))
        if self._requests is not None:
            newest = max((number for number, _, _ in self._requests()), default=0)
            if newest > read.last:
                read.last = newest
                read.requests += 1

    # -- what is stale -----------------------------------------------------------------------

    def stale(self, paths: Iterable[str]) -> List[str]:
        """Which of these files hold something else than what may still be known of them. A file
        that nobody read is one of them if it may take the place of a template of its name; a
        folder stands for the files in it. Each state of a file is named once."""
        found = []
        for path in paths:
            if path not in self._files and os.path.isdir(path):
                found += [inner for inner in self._within(path) if self._is_stale(inner)]
            elif self._is_stale(path):
                found.append(path)
        return found

    def _within(self, folder: str) -> Iterator[str]:
        """Files below a folder that may concern us."""
        left = MAX_CHECKED
        for place, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if name not in FOLDERS]
            left -= len(names) + 1
            if left < 0:
                return
            for name in names:
                path = os.path.join(place, name)
                if path in self._files or name in self._names:
                    yield path

    def all_stale(self) -> List[str]:
        """As `stale`, of some of the files at a time, in turn: changes that nobody notified."""
        if not self._turn:
            self._turn = list(self._files)
        now, self._turn = self._turn[:MAX_CHECKED], self._turn[MAX_CHECKED:]
        return [path for path in now if path in self._files and self._is_stale(path)]

    def _is_stale(self, path: str) -> bool:
        read = self._files.get(path)
        mark = mark_of(path)
        if read is None:
            if mark is None or path in self._own or os.path.basename(path) not in self._names:
                return False
            # It is known from now on as it is: it may come before the one that was read.
            self._files[path] = Read(mark, digest_of(path, mark), True, True)
            return True
        if not read.kept or (mark == read.mark and not read.mixed) or mark == read.reported:
            return False
        if mark is None and not (read.engine or read.startup):
            return False
        if not read.mixed and mark is not None and read.digest and (
                digest_of(path, mark) == read.digest):
            read.mark = mark  # touched only
            return False
        read.reported = mark
        return True


def is_engine(frame: Optional[FrameType]) -> bool:
    """Whether a template engine is among the callers."""
    for _ in range(MAX_FRAMES):
        if frame is None:
            return False
        name = frame.f_globals.get("__name__")
        if isinstance(name, str) and any(
                name == engine or name.startswith(engine + ".") for engine in ENGINES):
            return True
        frame = frame.f_back
    return False


def is_named(name: str, path: str) -> bool:
    """Whether the path of a request ends in a file's name, perhaps without that of its coding."""
    last = path.rpartition("/")[2]
    return bool(last) and (name == last or name.startswith(last + "."))


def mark_of(path: str) -> Optional[Mark]:
    """What changes when a regular file does; None if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not os.path.isfile(path):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def digest_of(path: str, mark: Optional[Mark]) -> str:
    if mark is None or mark[1] > MAX_DIGESTED:
        return ""
    try:
        with open(path, "rb") as file:
            return blake2b(file.read(), digest_size=16).hexdigest()
    except OSError:
        return ""


def requests_of(server: "Server") -> Iterator[Request]:
    """The requests that a server has in progress."""
    to_wall = time.time() - server.clock()
    for connection in list(server.connections.values()):
        exchange = connection.current
        if exchange is not None:
            path = percent_decode(exchange.head.path).decode("utf-8", "surrogateescape")
            yield exchange.id, path, exchange.begun + to_wall
