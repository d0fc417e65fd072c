"""What is wanted of a server: what it runs, and the throttle that outlives its workers.

Values only, and cheap to import: the command line checks with them what it was given.
"""

import os
import re
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Tuple

from ..config import Settings
from ..exceptions import CommandError, ConfigurationError

if TYPE_CHECKING:
    from ..throttle import Throttle

MAX_RULES = 100
EVERYTHING = "*"
#: where workers find the file of the locks that they share (see `tremolo.app.locks`)
LOCK_FILE = "TREMOLO_LOCK_FILE"

#: the scope of one connection, with the worker and the number that it has there
CONNECTION_SCOPE = re.compile(r"conn:([0-9]{1,10}):([0-9]{1,15})")


class Launch(NamedTuple):
    """What to run. `app` is the description for workers: {"target": "shop:app"} or
    {"script": path, "argv": [...], "folder": path}; `folder` is what to watch for changes,
    `home` the working directory, by the name that the user knows it by."""

    app: Dict[str, Any]
    shown: str
    settings: Settings
    dev: bool
    folder: str
    home: str
    capture: bool = False


def working_directory() -> str:
    """The working directory by the name that the shell gave it: a link in that name may be made
    to lead elsewhere later, and is followed then."""
    here = os.getcwd()
    named = os.environ.get("PWD", "")
    try:
        is_here = os.path.isabs(named) and os.path.samefile(named, here)
    except OSError:
        is_here = False
    return named if is_here else here


def by_that_name(path: str) -> str:
    """A path in the working directory, as `working_directory` names it."""
    here = os.getcwd()
    if path != here and not path.startswith(os.path.join(here, "")):
        return path
    return working_directory() + path[len(here):]


class WantedThrottle:
    """The throttle that is wanted, by scope: "*", a path pattern, "total", "client:ADDRESS",
    "conn:PID:ID"."""

    def __init__(self, specs: Any = (), presets: Any = None) -> None:
        if presets is not None and not isinstance(presets, Mapping):
            raise ConfigurationError('presets must be a table such as train = "down=2Mbit"')
        #: the user's own, by name
        self.presets: Dict[str, Throttle] = {}
        self._rules: Dict[str, Throttle] = {}
        if not (presets or specs):
            return  # most servers start so, and without that module sooner
        from ..throttle import own_presets, parse_rule

        self.presets = own_presets(presets or {})
        for spec in specs:
            scope, throttle = parse_rule(spec, self.presets)
            self._rules[EVERYTHING if scope == "all" else scope] = throttle

    @staticmethod
    def scope(text: Any) -> str:
        """The canonical name of a scope. Raises CommandError or ConfigurationError."""
        if not isinstance(text, str):
            raise CommandError("a throttle has a scope")
        if CONNECTION_SCOPE.fullmatch(text):
            return text
        from ..throttle import parse_scope

        found = parse_scope(text)
        if found.startswith("#"):
            raise CommandError("a connection's scope is conn:PID:ID; each worker has its own")
        return EVERYTHING if found == "all" else found

    def rule(self, text: str) -> "Tuple[str, Throttle]":
        """Scope and throttle of a text as `--throttle` takes it. Raises InvalidThrottle."""
        from ..throttle import parse_rule

        scope, throttle = parse_rule(text, self.presets)
        return self.scope(scope), throttle

    def changes(self, rules: Mapping[str, Any]) -> "Dict[str, Optional[Throttle]]":
        """What has to change for these to be all rules: scope to the fields of a throttle.
        None: there is one that has to go. Raises InvalidThrottle."""
        from ..throttle import Throttle, check_scope

        found: Dict[str, Optional[Throttle]] = dict.fromkeys(self._rules)
        for text, value in rules.items():
            scope, throttle = self.scope(text), Throttle.from_dict(value)
            check_scope(scope, throttle)
            found[scope] = throttle
        if sum(throttle is not None for throttle in found.values()) > MAX_RULES:
            raise CommandError(f"there can be {MAX_RULES} throttle rules")
        return found

    def set(self, scope: str, throttle: "Optional[Throttle]") -> None:
        if throttle is None:
            self._rules.pop(scope, None)
        elif scope not in self._rules and len(self._rules) >= MAX_RULES:
            raise CommandError(f"there are {MAX_RULES} throttle rules already")
        else:
            self._rules[scope] = throttle

    @property
    def total(self) -> "Optional[Throttle]":
        """The cap of the whole server."""
        from ..throttle import TOTAL

        return self._rules.get(TOTAL)

    def forget_worker(self, pid: int) -> None:
        """Its connections are gone, and so are their scopes."""
        for scope in [s for s in self._rules if s.startswith(f"conn:{pid}:")]:
            del self._rules[scope]

    def as_dict(self) -> Dict[str, Any]:
        return {scope: throttle.as_dict() for scope, throttle in self._rules.items()}

    def for_worker(self) -> Dict[str, Any]:
        """The rules of a worker that starts: it has no connections yet."""
        return {"all" if scope == EVERYTHING else scope: throttle.as_dict()
                for scope, throttle in self._rules.items() if not scope.startswith("conn:")}
