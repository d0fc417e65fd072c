"""What the zygote imports ahead, in which order and in which world, and what it does not.

Made from what the workers reported of their own start. What turned out not to hold is left out
from then on, until packages or settings change.
"""

from typing import Any, Dict, Iterable, List, Mapping, Optional, Set, Tuple

from ..telemetry.sanitize import clean

MAX_SHOWN = 50
MAX_REFUSED = 5_000
TRIES = 3  # times that something may not hold in a row until it is left out


class Plan:
    """`steps` for a zygote, after it imported `base`; `refused` are modules that it must not
    import; `not_preloaded` is what is left out and why."""

    def __init__(self, no_preload: Iterable[str] = ()) -> None:
        self._no_preload = tuple(no_preload)
        self.base: List[str] = []
        self.steps: List[Dict[str, Any]] = []
        self.refused: List[str] = []
        self.not_preloaded: List[Dict[str, str]] = []
        #: a step could not be made once: others are tried in a process of their own first
        self.careful = False
        self.proven: Dict[str, Any] = {}
        self.excluded: Dict[str, str] = {}
        self._ends: Dict[str, str] = {}
        self._stale: Dict[str, int] = {}
        self._imported: List[Mapping[str, Any]] = []

    def learn(self, base: List[str], imported: List[Mapping[str, Any]]) -> None:
        """What a worker imported: `base` by itself, `imported` are the steps of its program."""
        # A worker started afresh has less at its base than one that was forked.
        known = set(self.base)
        self.base = self.base + [name for name in base
                                 if name not in known and not self.is_refused(name)]
        self._imported = imported
        self._make()

    def is_refused(self, name: str) -> bool:
        """Whether a module belongs to a package that is never to be imported ahead."""
        return any(name == refused or name.startswith(refused + ".")
                   for refused in self._no_preload)

    def _reason(self, step: Mapping[str, Any]) -> str:
        name = str(step["name"])
        if self.is_refused(name):
            return "--no-preload"
        return self.excluded.get(name) or str(step.get("reason") or "")

    def _make(self) -> None:
        steps, refused, left_out = [], list(self._no_preload), []
        now: Dict[str, Any] = {}
        ahead: Optional[Dict[str, Any]] = None
        end = ""
        base = set(self.base)
        for step in self._imported:
            name = str(step["name"])
            before = _moved(now, step.get("before"))
            now = _moved(before, step.get("after"))
            if name in base:
                continue  # a worker that was started afresh imported it; a forked one has it
            end = end or self._ends.get(name, "")
            reason = self._reason(step) or end
            if reason:
                left_out.append({"module": clean(name, 100), "reason": clean(reason, 200)})
                if not end and len(refused) < MAX_REFUSED:
                    refused += [name, *map(str, step.get("loaded", ()))]
                continue
            made = {key: step[key] for key in ("name", "keep", "late") if key in step}
            steps.append(dict(made, world=_difference(ahead, before)))
            ahead = now
        self.steps, self.not_preloaded = steps, left_out[:MAX_SHOWN]
        self.refused = sorted(set(refused) - {step["name"] for step in steps})

    def spoiled(self, name: str, reason: str) -> None:
        """The zygote could not make a step."""
        self.careful = True
        self._prove({name})
        self.excluded[name] = reason
        self._make()

    def stale(self, name: str, reason: str, lasting: Iterable[str]) -> None:
        """A worker found that what had been imported ahead does not hold; for the modules
        `lasting` it never will."""
        self._prove({name, *lasting})
        self._stale[name] = self._stale.get(name, 0) + 1
        self.excluded.update((module, reason) for module in lasting)
        if name not in self.excluded and self._stale[name] >= TRIES:
            self._ends[name] = f"it differs from start to start: {reason}"
        self._make()

    def _prove(self, failing: Set[str]) -> None:
        """The steps before the first of those that are `failing` could be made, and do not need
        it. What comes later may import what is refused now."""
        self.proven.clear()
        for step in self.steps:
            if step["name"] in failing:
                break
            self.proven[step["name"]] = step["world"]

    def held(self) -> None:
        """All that was imported ahead was as the program would have imported it."""
        self._stale.clear()

    def forget(self) -> None:
        """Packages or settings have changed: what did not hold may hold now."""
        self.careful = False
        for known in (self.excluded, self._ends, self._stale, self.proven):
            known.clear()
        self._make()

    def message(self, step: Mapping[str, Any]) -> Dict[str, Any]:
        """A step as it is sent to the zygote."""
        name = step["name"]
        return dict(step, trial=self.careful and self.proven.get(name) != step["world"])


def _moved(world: Dict[str, Any], change: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """A world after a change, both as reported by workers."""
    if not change:
        return world
    moved = dict(world)
    for field, value in change.items():
        if field == "environment":
            names = {} if change.get("whole") else dict(world.get(field, {}))
            names.update(value)
            value = {name: text for name, text in names.items() if text is not None}
        moved[field] = value
    moved.pop("whole", None)
    return moved


def _difference(before: Optional[Dict[str, Any]], after: Dict[str, Any]) -> Dict[str, Any]:
    """The change that turns one world into another."""
    if before is None:
        return dict(after, whole=True)
    change = {field: value for field, value in after.items() if before.get(field) != value}
    if "environment" in change:
        was, names = before.get("environment", {}), change["environment"]
        change["environment"] = {name: names.get(name) for name in {*was, *names}
                                 if was.get(name) != names.get(name)}
        change["whole"] = False
    return change


class ModuleNames:
    """Gathers what workers report in several messages of the modules that they loaded."""

    def __init__(self) -> None:
        self._gathered: Dict[int, Tuple[List[str], List[Mapping[str, Any]]]] = {}

    def add(self, pid: int, life: Mapping[str, Any]
            ) -> Optional[Tuple[List[str], List[Mapping[str, Any]]]]:
        """The base and the steps of a worker once it has reported them all."""
        base, steps = self._gathered.setdefault(pid, ([], []))
        base.extend(map(str, life.get("base", ())))
        steps.extend(life.get("steps", ()))
        return self._gathered.pop(pid) if life.get("last") else None

    def forget(self, pid: int) -> None:
        self._gathered.pop(pid, None)
