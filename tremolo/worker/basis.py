"""What the code of this process rests on, reported as it becomes known.

Files of code that were run and places where they were looked for, other files that were read and
may still be known by heart, files that the process writes itself, and what a zygote may import
ahead of the next one. What the supervisor makes of it: see `tremolo.supervisor.basis`.
"""

import os
import time
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, List, Mapping, Optional

from ..config import Settings
from .imports import ProjectImports
from .installed import installed_modules
from .reads import ReadFiles, requests_of
from .supervisor_link import SupervisorLink

if TYPE_CHECKING:
    from ..net.server import Server
    from .ahead import Ahead
    from .shelf import Shelf, Stale

NAMES_A_MESSAGE = 400
READS_EVERY = 5  # ticks after which files that were read are compared with the disk


class Basis:
    """Reports over `link`, from before the project is imported. `start` is the message that
    started the worker, `shelf` what was imported ahead of it."""

    def __init__(self, link: SupervisorLink, start: Mapping[str, Any], settings: Settings,
                 shelf: "Optional[Shelf]") -> None:
        self._link = link
        self._ahead: Optional[Ahead] = None
        self._ticks = 0
        self._counts = settings.reload_include
        self._reads = ReadFiles(lambda path: link.life("own", paths=[path]))
        self.imports = ProjectImports()
        self.imports.on_read = self.report_files
        self.imports.install()
        self._reads.install(self.imports.importing)
        self.imports.watch_writes(self._is_watched, self._wrote)
        if "fallback" not in start["app"]:
            from . import ahead  # deferred: the page of a broken start is quick by itself

            self._ahead = ahead.Ahead(start, self.imports, shelf, self._give_up,
                                      lambda text: link.log("info", text))

    def imported(self) -> None:
        """The application has been imported."""
        if self._ahead is not None:
            self._ahead.imported()

    def started(self) -> None:
        """The application has started."""
        self.imports.lookups.note_loaded()
        self.report_files()

    def serve(self, server: "Server") -> None:
        """The application is asked from now on by `server`."""
        self._reads.serve(lambda: list(requests_of(server)))
        self._report_outdated()

    def tick(self) -> None:
        """To be called ten times a second while serving."""
        self._ticks += 1
        if self._ticks % READS_EVERY == 0:
            self._report_outdated()
        self.report_files()

    def stale(self, paths: List[str]) -> List[str]:
        """Those of the touched `paths` that this process may know by heart."""
        return self._reads.stale(paths)

    # -- reports -------------------------------------------------------------------------

    def report_files(self) -> None:
        """Name what the project was read from since the last time."""
        if self._link.inherited:
            return
        self.imports.report_written()
        files, places = self.imports.take()
        if files:
            self._link.life("files", files=files)
        for folder, names in places.items():
            found = list(names.items())
            for index in range(0, len(found), NAMES_A_MESSAGE // 4):
                self._link.life("files", places={
                    folder: dict(found[index:index + NAMES_A_MESSAGE // 4])})

    def report_packages(self) -> None:
        """Name the files of installed packages, whose change reloads, too."""
        if self._ahead is None:
            return
        files = installed_modules()[1]
        for index in range(0, len(files), NAMES_A_MESSAGE // 2):
            self._link.life("packages", files=files[index:index + NAMES_A_MESSAGE // 2])

    def report_modules(self) -> None:
        """Name what a zygote may import ahead, which keeps a processor busy for as long as all
        the imports took."""
        if self._ahead is None:
            return
        for found in self._ahead.messages():
            self._link.life("modules", **found)

    def _report_outdated(self) -> None:
        paths = self._reads.all_stale()
        for index in range(0, len(paths), NAMES_A_MESSAGE // 4):
            self._link.life("outdated", paths=paths[index:index + NAMES_A_MESSAGE // 4])

    def _is_watched(self, path: str) -> bool:
        """Whether a write to a file outside of the project reloads too."""
        return path.endswith(".py") or any(
            fnmatch(os.path.basename(path), pattern) or fnmatch(path, pattern)
            for pattern in self._counts)

    def _wrote(self, path: str, digest: Optional[str]) -> None:
        if not self._link.inherited:
            self._link.life("wrote", path=path, digest=digest, t=time.time())

    def _give_up(self, stale: "Stale") -> None:
        """What was imported ahead does not hold: another process starts without it."""
        self._link.life("stale", module=stale.module, reason=stale.reason,
                        lasting=stale.lasting[:NAMES_A_MESSAGE])
        self._link.flush()
        os._exit(0)
