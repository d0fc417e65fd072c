"""What is wanted of a server: what it runs, and the throttle and the intercepts that outlive its
workers.

Values only, and cheap to import: the command line checks with them what it was given.
"""

import os
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional

from ..config import Settings
from ..exceptions import CommandError, ConfigurationError

if TYPE_CHECKING:
    from ..scope import Scope
    from ..throttle import Throttle
    from .feed import Viewer

MAX_RULES = 100
#: where workers find the file of the locks that they share (see `tremolo.app.locks`)
LOCK_FILE = "TREMOLO_LOCK_FILE"


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
    """The throttle that is wanted, by scope."""

    def __init__(self, specs: Any = (), presets: Any = None) -> None:
        if presets is not None and not isinstance(presets, Mapping):
            raise ConfigurationError('presets must be a table such as train = "down=2Mbit"')
        #: the user's own, by name
        self.presets: Dict[str, Throttle] = {}
        self._rules: Dict[Scope, Throttle] = {}
        if not (presets or specs):
            return  # most servers start so, and without that module sooner
        from ..throttle import own_presets, parse_rule

        self.presets = own_presets(presets or {})
        for spec in specs:
            scope, throttle = parse_rule(spec, self.presets)
            self._rules[scope] = throttle

    def changes(self, rules: "Mapping[Scope, Any]") -> "Dict[Scope, Optional[Throttle]]":
        """What has to change for these to be all rules: scope to the fields of a throttle.
        None: there is one that has to go. Raises InvalidThrottle."""
        from ..throttle import Throttle, check_scope

        found: Dict[Scope, Optional[Throttle]] = dict.fromkeys(self._rules)
        for scope, value in rules.items():
            throttle = Throttle.from_dict(value)
            check_scope(scope, throttle)
            found[scope] = throttle
        if sum(throttle is not None for throttle in found.values()) > MAX_RULES:
            raise CommandError(f"there can be {MAX_RULES} throttle rules")
        return found

    def set(self, scope: "Scope", throttle: "Optional[Throttle]") -> None:
        if throttle is None:
            self._rules.pop(scope, None)
        elif scope not in self._rules and len(self._rules) >= MAX_RULES:
            raise CommandError(f"there are {MAX_RULES} throttle rules already")
        else:
            self._rules[scope] = throttle

    @property
    def total(self) -> "Optional[Throttle]":
        """The cap of the whole server."""
        from ..scope import TOTAL

        return self._rules.get(TOTAL)

    def forget_worker(self, pid: int) -> None:
        """Its connections are gone, and so are their scopes."""
        for scope in [s for s in self._rules if s.connection and s.connection[0] == pid]:
            del self._rules[scope]

    def as_dict(self) -> Dict[str, Any]:
        return {scope: throttle.as_dict() for scope, throttle in self._rules.items()}

    def for_worker(self) -> Dict[str, Any]:
        """The rules of a worker that starts: it has no connections yet."""
        return {scope: throttle.as_dict() for scope, throttle in self._rules.items()
                if scope.connection is None or scope.connection[0] is None}


class WantedMail:
    """Whether mail is kept from being sent."""

    def __init__(self, held: bool) -> None:
        self.held = held


class WantedIntercepts:
    """What is held and mocked for a viewer as long as it is there: `args` of an "intercept"
    command, {} for nothing. The newest wish counts."""

    def __init__(self) -> None:
        self.viewer: Optional[Viewer] = None
        self.args: Dict[str, Any] = {}

    def set(self, viewer: "Viewer", args: Mapping[str, Any]) -> None:
        self.viewer, self.args = (viewer, dict(args)) if any(args.values()) else (None, {})

    def clear(self) -> None:
        self.viewer, self.args = None, {}
