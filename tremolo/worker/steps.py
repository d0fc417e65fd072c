"""Notes in a worker which modules were imported, in which order and in which world.

A step is an import that the project's code brings about, with all that this import imports in
turn. The zygote makes the same steps ahead, as long as it can be brought into the same world;
why it cannot is noted, too.
"""

import os
import sys
import threading
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any, Callable, Dict, List, Mapping, Optional

from .world import FIXED, World, WorldView, describe, difference
from .world_codec import encode

#: where the standard library lies, and above it the packages
_LIBRARY = os.path.dirname(os.__file__) + os.sep
MAX_WORLD = 24 * 1024  # characters of a world that are sent
FOREIGN = "warnings filters of the project's own are in force"
LARGE = "the environment is too large to be sent"


class Steps:
    """The steps of this process so far. `view` is made before the first; `excluded` are the
    modules that are not imported ahead, with the reason; `keep` those of the project that are.
    """

    def __init__(self, view: WorldView, excluded: Mapping[str, str] = {},
                 keep: "tuple[str, ...]" = ()) -> None:
        self.view = view
        self.made: List[Dict[str, Any]] = []
        self.late = False  # the application has been imported, and starts up
        self._excluded = excluded
        self._keep = keep
        self._last: Optional[World] = None
        #: what a zygote would be in that has made the steps so far
        self._ahead = view.base()
        self._thread = threading.local()

    def is_kept(self, name: str) -> bool:
        """Whether a module of the project is one to keep, or the package of one."""
        return name in self._keep or any(kept.startswith(name + ".") for kept in self._keep)

    def wrap(self, spec: ModuleSpec, keep: bool = False) -> None:
        """Note the import of a module that was just found, unless it is part of another's."""
        if not getattr(self._thread, "inside", False) and hasattr(
                spec.loader, "exec_module") and not _is_ours():
            loader: Any = _Noting(spec.loader, self, keep)
            spec.loader = loader

    def began(self, name: str, keep: bool = False) -> Callable[[bool], None]:
        """A module of this name is about to be imported. Call the result when that is over."""
        outer = getattr(self._thread, "inside", False)
        if outer:
            return lambda whole: None
        before, count = self.view.capture(), len(sys.modules)
        self._thread.inside = True
        self.view.hold_aliases(before)

        def ended(whole: bool) -> None:
            self._thread.inside = False
            after = self.view.capture()
            self.view.release_aliases(before)
            if whole:
                self._note(name, before, after, count, keep)

        return ended

    def given(self, name: str, before: World, after: World, keep: bool) -> None:
        """A module was had from what had been imported ahead."""
        if not getattr(self._thread, "inside", False):
            self.view.release_aliases(before)
            self._note(name, before, after, len(sys.modules), keep)

    def _note(self, name: str, before: World, after: World, count: int, keep: bool) -> None:
        step: Dict[str, Any] = {"name": name}
        if keep:
            step["keep"] = True
        if self.late:
            step["late"] = True
        fixed = [field for field in difference(self._ahead, before) if field in FIXED]
        encoded = encode(before, self._last)
        then = encode(after, before)
        reason = self._excluded.get(name, "")
        if fixed and not reason:
            reason = f"{describe(fixed[0], self._ahead, before)} was changed before"
        if encoded is None or then is None:
            reason = reason or FOREIGN
        elif len(str(encoded)) + len(str(then)) > MAX_WORLD:
            reason = reason or LARGE
        else:
            step["before"], step["after"] = encoded, then
            self._last = after
        if reason:
            step["reason"] = reason
            step["loaded"] = list(sys.modules)[count:]
        else:
            self._ahead = after
        self.made.append(step)


def _is_ours() -> bool:
    """Whether the import that is looked for now is one of ours, not of the program. What the
    standard library imports on demand (`concurrent.futures.ThreadPoolExecutor`) is its caller's.
    """
    frame: Optional[FrameType] = sys._getframe(1)
    machinery = False
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("importlib"):
            machinery = True
        elif machinery:
            if name.startswith("tremolo."):
                return True
            path = frame.f_code.co_filename
            if not path.startswith(_LIBRARY) or "-packages" + os.sep in path:
                return False
        frame = frame.f_back
    return False


class _Noting:
    """The loader of a module that the project imports; forgotten when it is loaded."""

    def __init__(self, loader: Any, steps: Steps, keep: bool) -> None:
        self._loader = loader
        self._steps = steps
        self._keep = keep
        self._ended: Optional[Callable[[bool], None]] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        create = getattr(self._loader, "create_module", None)
        if create is None:
            return None
        self._ended = ended = self._steps.began(spec.name, self._keep)
        try:
            return create(spec)
        except BaseException:
            ended(False)
            raise

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        ended = self._ended or self._steps.began(module.__name__, self._keep)
        whole = False
        try:
            self._loader.exec_module(module)
            whole = True
        finally:
            ended(whole)
