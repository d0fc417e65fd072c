"""Imports modules ahead of the fork, and notes what a program could see of it.

Runs in the zygote. Each step is one import as the program made it at its last start, in the
world that it found then. What cannot be had ahead without being noticed (it fails, asks for
modules of the project, starts threads, opens descriptors, ...) spoils the zygote, which reports
so and is replaced by one that leaves this out.
"""

import atexit
import builtins
import importlib
import logging
import os
import select
import sys
import time
from importlib.machinery import ModuleSpec
from importlib.util import resolve_name
from types import ModuleType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from .imports import ProjectImports
from .installed import is_installed
from .looks import Looks
from .module_state import State
from .shelf import MISSING, Effect, Entry, Shelf, Step
from .side_effects import descriptors, unsharable, written, written_since
from .world import World, WorldView, difference
from .world_codec import decode

bootstrap: Any = importlib.import_module("importlib._bootstrap")
TRIAL_LIMIT = 60.0
MAX_OUTPUT = 64 * 1024


class Spoiled(Exception):
    """A step that cannot be made ahead; the text gives the reason, `detail` is for the log."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


class Preloader:
    """Fills `shelf`. `refused` are modules that no step may import."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.refused: Set[str] = set()
        self._imports = ProjectImports()
        self._view: Optional[WorldView] = None
        self._world: World
        self._stack: List[Entry] = []
        self._order = 0
        self._trouble = ""
        self._keeping = False
        self._finding: Set[str] = set()
        self._loggers: Dict[str, Any] = {}
        self._looks = Looks(self._looked)
        self._installed = False
        self._real = (builtins.__import__, bootstrap._gcd_import, atexit.register)
        self._pid = os.getpid()

    # -- the hooks of the zygote ------------------------------------------------------

    def _install(self) -> None:
        if self._installed:
            return
        self._installed = True
        sys.meta_path.insert(0, self)
        builtins.__import__ = self._import  # type: ignore[assignment]
        bootstrap._gcd_import = self._gcd_import
        atexit.register = self._at_exit  # type: ignore[assignment]
        if self._view is None:
            self._view = self.shelf.view = WorldView()
            self._world = self.shelf.base = self._view.capture()
        self.shelf.raise_all(self._view, self._world)
        self._loggers = dict(logging.root.manager.loggerDict)
        self._looks.watch()

    def prepare(self) -> None:
        """Look at everything once, so that no child has to: it takes milliseconds."""
        if self._view is None:
            self._install()
            self.rest()

    def rebase(self) -> None:
        """Modules were imported for all children: what is now is the base."""
        if not self.shelf.entries:
            self.rest()
            self._view = self.shelf.view = self.shelf.base = None

    def rest(self) -> None:
        """Be as if nothing had been imported: before each fork."""
        if not self._installed or self._view is None:
            return
        self._installed = False
        self._looks.rest()
        self.shelf.lay(self._view, self._world)
        sys.meta_path.remove(self)
        builtins.__import__, bootstrap._gcd_import = self._real[:2]
        atexit.register = self._real[2]

    def _import(self, name: str, globals: Optional[Mapping[str, Any]] = None,
                locals: Optional[Mapping[str, Any]] = None, fromlist: Sequence[str] = (),
                level: int = 0) -> Any:
        module = self._real[0](name, globals, locals, fromlist, level)
        if self._stack:
            asked = name
            if level:
                package = (globals or {}).get("__package__") or (globals or {}).get("__name__")
                asked = resolve_name("." * level + name, package).rstrip(".")
            own = self._stack[-1].asked
            own.add(asked)
            own.update(full for full in (f"{asked}.{part}" for part in fromlist or ())
                       if full in sys.modules)
        return module

    def _gcd_import(self, name: str, package: Any = None, level: int = 0) -> Any:
        module = self._real[1](name, package, level)
        if self._stack:
            self._stack[-1].asked.add(
                resolve_name("." * level + name, package) if level else name)
        return module

    def _at_exit(self, function: Any, *arguments: Any, **keywords: Any) -> Any:
        if not self._stack or os.getpid() != self._pid:  # what kept it calls it later, too
            return self._real[2](function, *arguments, **keywords)
        self._effect("atexit", function, arguments, keywords)
        return function

    def _looked(self, what: str) -> None:
        if self._stack:
            self._spoil(f"it looks at {what} while it is imported")

    # -- one module ------------------------------------------------------------------

    def find_spec(self, fullname: str, path: Optional[Sequence[str]] = None,
                  target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        if fullname in self._finding:
            return None
        self._finding.add(fullname)
        try:
            spec: Optional[ModuleSpec] = None
            for finder in list(sys.meta_path):
                find = getattr(finder, "find_spec", None)
                if finder is not self and find is not None:
                    spec = find(fullname, path, target)
                    if spec is not None:
                        break
        finally:
            self._finding.discard(fullname)
        if spec is None:
            if path is None:
                self.shelf.missed.add(fullname)
            return None
        if self._stack:
            self._stack[-1].asked.add(fullname)
        self._judge(spec)
        if hasattr(spec.loader, "exec_module"):
            loader: Any = _Watched(spec.loader, self)
            spec.loader = loader
        return spec

    def _judge(self, spec: ModuleSpec) -> None:
        """Refuse what must not be imported here."""
        name = spec.name
        if name in self.refused or any(name.startswith(one + ".") for one in self.refused):
            self._spoil(f"it imports {name}, which is not preloaded")
        elif spec.has_location and spec.origin and not is_installed(
                os.path.abspath(spec.origin)):
            if self._keeping:
                spec.loader = self._imports.loader(name, spec.origin)
                spec.cached = None
                return
            self._spoil(f"it imports {name} of the project")
        else:
            return
        raise ImportError(self._trouble, name=name)

    def _spoil(self, reason: str) -> None:
        self._trouble = self._trouble or reason

    def began(self, name: str) -> Entry:
        self._look()
        entry = Entry(name, self._next(), self._world)
        self.shelf.entries[name] = entry
        self._stack.append(entry)
        return entry

    def ended(self, entry: Entry) -> None:
        self._look()
        self._stack.pop()
        self._looks.imported(entry.name)

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _effect(self, kind: str, *values: Any) -> None:
        self._stack[-1].effects.append(Effect(self._next(), kind, *values))

    def _look(self) -> None:
        """Ascribe what changed since the last look to the module that was running."""
        if not self._stack:
            return
        assert self._view is not None
        now = self._view.capture()
        if difference(self._world, now):
            self._effect("world", self._world, now)
            self._world = now
        loggers: Dict[str, Any] = logging.root.manager.loggerDict
        if len(loggers) != len(self._loggers) or list(loggers.values()) != list(
                self._loggers.values()):
            fresh = [(name, logger, self._loggers.get(name)) for name, logger in loggers.items()
                     if self._loggers.get(name) is not logger]
            self._effect("loggers", fresh)
            self._loggers = dict(loggers)

    # -- one step --------------------------------------------------------------------

    def step(self, step: Mapping[str, Any]) -> None:
        """Make a step. Raises Spoiled; the process can then not be forked any more."""
        name = step["name"]
        self._install()
        assert self._view is not None
        self._enter(self._view, step)
        if name in sys.modules:
            return
        self._trouble, self._keeping = "", bool(step.get("keep"))
        before, opened, world = set(sys.modules), descriptors(), self._world
        known = list(self.shelf.entries)
        printed = written()
        top = Entry(name, 0, self._world)  # what is asked for outside any module
        self._stack = [top]
        self._view.hold_aliases(self._world)
        try:
            importlib.import_module(name)
        except BaseException as exc:  # a module may even call sys.exit()
            self._spoil(f"importing it ahead fails ({type(exc).__name__})")
            raise Spoiled(self._trouble, f"{type(exc).__name__}: {exc}") from None
        finally:
            self._look()
            self._view.release_aliases(world)
            self._stack = []
        self._finish(name, before, known, top)
        unfit = unsharable(opened)
        if unfit:
            raise Spoiled(unfit)
        output = written_since(printed)
        root = self.shelf.entries.get(name)
        for number, text in output if root is not None else ():
            if len(text) > MAX_OUTPUT:
                raise Spoiled("it prints a lot while it is imported")
            assert root is not None
            root.effects.append(Effect(self._next(), "output", number, text))
        if self._trouble:
            raise Spoiled(self._trouble)
        entries = [entry for found, entry in self.shelf.entries.items() if found not in before]
        entries.sort(key=lambda entry: entry.order)
        for entry in entries:
            entry.late = bool(step.get("late"))
        self.shelf.steps[name] = Step(entries, world, self._world)

    def _enter(self, view: WorldView, step: Mapping[str, Any]) -> None:
        """Set up the world of a step. Raises Spoiled."""
        wanted = decode(step.get("world") or {}, self._world)
        if wanted is None:
            raise Spoiled("the warnings filters cannot be set up ahead")
        view.restore(self._world, wanted)
        self._world = view.capture()
        # An alias of what is not here is compared where it is: in the child.
        differing = [field for field in difference(wanted, self._world) if field != "aliases"]
        if differing:
            raise Spoiled(f"{differing[0]} cannot be set up ahead")

    def _finish(self, name: str, before: Set[str], known: List[str], top: Entry) -> None:
        """Also what came to be without a loader is on the shelf, and who changed whom."""
        shelf = self.shelf
        fresh = [found for found in sys.modules if found not in before]
        root = shelf.entries.get(name) or top
        root.effects.extend(top.effects)
        for found in fresh:
            if found not in shelf.entries:
                shelf.entries[found] = Entry(found, self._next(), self._world)
                root.asked.add(found)
            shelf.entries[found].module = sys.modules[found]
            shelf.entries[found].place = self._next()
        for gone in [found for found in shelf.entries if found not in sys.modules]:
            del shelf.entries[gone]  # some take themselves away again
        for found in known:
            module = sys.modules.get(found)
            if found in shelf.states and isinstance(module, ModuleType):
                self._rebound(root, module, found)
        for found in fresh:
            entry, module = shelf.entries.get(found), sys.modules.get(found)
            if entry is None or not isinstance(module, ModuleType):
                continue
            origin = getattr(module.__spec__, "origin", None)
            if isinstance(origin, str) and "-packages" + os.sep in origin:
                entry.foreign = True
                if found.count(".") < 2:  # deeper lies nothing that a program would set
                    shelf.states[found] = [(self._next(), State(module))]
            path = os.path.abspath(origin) if isinstance(origin, str) else ""
            if path in self._imports.files:
                entry.path, entry.digest = path, self._imports.files[path]

    def _rebound(self, root: Entry, module: ModuleType, name: str) -> None:
        values, state = module.__dict__, self.shelf.states[name][-1][1].values
        changed = [(key, old, values.get(key, MISSING)) for key, old in state.items()
                   if values.get(key, MISSING) is not old]
        changed += [(key, MISSING, value) for key, value in values.items() if key not in state
                    and key[:1] != "_" and value is not None
                    and not issubclass(type(value), ModuleType)]
        for key, old, new in changed:
            root.effects.append(Effect(self._next(), "rebound", module, key, old, new))
            self.shelf.rebound.setdefault(name, set()).add(root.name)
        if changed:
            self.shelf.states[name].append((self._next(), State(module)))

    def trial(self, step: Mapping[str, Any]) -> None:
        """Make a step in a process that is thrown away. Raises Spoiled if it cannot be made."""
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            text = b"it ends the process"
            try:
                self.step(step)
                text = b""
            except Spoiled as exc:
                text = str(exc).encode()
            finally:
                os.write(write_end, b"." + text)
                os._exit(0)
        os.close(write_end)
        answer, deadline = b"", time.monotonic() + TRIAL_LIMIT
        while select.select([read_end], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = os.read(read_end, 4096)
            if not data:
                break
            answer += data
            if b"." in answer[:1] and len(data) < 4096:
                break
        os.close(read_end)
        if not answer:
            os.kill(pid, 9)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # it was reaped already, as every child is
        if answer != b".":
            raise Spoiled(answer[1:].decode("utf-8", "replace") or "importing it ahead fails")


class _Watched:
    """The loader of a module whose import is watched; makes itself forgotten at once."""

    def __init__(self, loader: Any, preloader: Preloader) -> None:
        self._loader = loader
        self._preloader = preloader
        self._entry: Optional[Entry] = None

    def create_module(self, spec: ModuleSpec) -> Any:
        create = getattr(self._loader, "create_module", None)
        if create is None:
            return None
        self._entry = self._preloader.began(spec.name)
        try:
            return create(spec)
        finally:
            self._preloader.ended(self._entry)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        if self._entry is None:
            self._entry = self._preloader.began(module.__name__)
        else:
            self._preloader._stack.append(self._entry)
        try:
            self._loader.exec_module(module)
        finally:
            self._preloader.ended(self._entry)
