"""Everything the dashboard knows, and the one door through which messages come in.

`apply` takes any decoded message of the feed; one that does not have the form of its kind is
counted and left out. The clock is handed in; instants in messages are wall-clock time.
"""

import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set

from tremolo.scope import EVERYTHING, Scope
from tremolo.telemetry.builders import ADVICE, SLOW_START
from tremolo.telemetry.changes import Changes

from . import live
from .commands import Command, Commands
from .connections import Connections
from .conversations import Conversations
from .holding import Holding
from .insight import Insight
from .logs import Error, Errors, Log
from .meters import Directions, Meters
from .notices import Notices
from .past import Past
from .pins import Pins
from .requests import key_of, request_of
from .routes import Routes
from .text import clean, clean_lines
from .throttling import OFF, Throttle, Throttling, describe, in_words, learn_presets
from .totals import Totals
from .traffic import Row, Traffic
from .workers import Reload, Workers

Clock = Callable[[], float]


class Session:
    def __init__(self, app: str = "", addresses: Sequence[str] = (),
                 clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.app = clean(app, 60)
        self.addresses: List[str] = [clean(address, 120) for address in addresses]
        #: one more, by the project's name
        self.local = ""
        self.companions: Set[str] = set()  # the names of the programs beside the server
        self.folder = ""  # in which the server was started
        self.version = ""
        self.pid = 0
        self.traffic = Traffic()
        self.routes = Routes()
        self.changes = Changes()
        self.connections = Connections()
        self.live = live.Live()
        self.conversations = Conversations()
        self.totals = Totals()
        self.meters = Meters()
        self.wall = 0.0  # what to add to an instant of a message for the model's clock
        self.workers = Workers()
        self.reload = Reload()
        self.log = Log()
        self.errors = Errors()
        self.insight = Insight()
        self.throttling = Throttling()
        self.commands = Commands(clock)
        self.pins = Pins()
        self.holding = Holding()
        self.holds_mail = False
        self.recorded = False  # it comes from a file: nothing can be asked of the server
        self.messages = 0
        self.rejected = 0
        self.revision = 0  # of what the header shows and has no revision of its own
        self.notices = Notices()
        self.on_news: Callable[[], None] = lambda: None
        self.on_ready: Callable[[], None] = lambda: None  # a new generation serves
        self.on_breakpoint: Callable[[int, str], None] = lambda pid, text: None
        self.on_alarm: Callable[[str, str], None] = lambda title, text: None
        self._handlers: Dict[str, Callable[[Dict[str, Any]], None]] = {
            "hello": self._hello, "frame": self._frame, "worker": self._worker,
            "reload": self._reload, "error": self._error, "log": self._log,
            "throttle": self._throttle, "stats": self._stats, "ack": self._ack,
            "assets": self._assets, "held": self._held, "mail": self._mail,
            "insight": self.insight.add, "past": lambda message: self.past.begins(message)}
        self.past = Past(self)

    def apply(self, message: Dict[str, Any]) -> None:
        """Take in one message; unknown kinds are for newer viewers."""
        self.messages += 1
        if message.get("kind") not in self._handlers:
            return
        try:
            rest = self.past.rest_of(message)
            if rest is not None:
                self._handlers[rest["kind"]](rest)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self.rejected += 1

    def notify(self, text: str, kind: str = "info", topic: str = "", minor: bool = False
               ) -> None:
        """Put one line of clean text into the status row. A failure of a `topic` stands there
        until it is cured or seen; a `minor` notice never takes its place."""
        self.notices.add(text, kind, self.clock(), topic, minor)
        self.revision += 1
        self.on_news()

    def refuse_commands(self) -> None:
        """Answer what was asked: a recorded session has no server."""
        for command in [*self.commands.outbox]:
            self.commands.outbox.remove(command)
            silent = command.name in ("detail", "recent")
            self.apply({"kind": "ack", "seq": command.seq, "ok": silent,
                        "error": "this is a recorded session, without a server"})

    def tick(self) -> None:
        """Advance what depends on time; about twice a second."""
        now = self.clock()
        self.totals.tick(now)
        self.workers.tick(now)
        self.commands.tick(now, self.traffic.filter_text)

    # -- one method a kind

    def _hello(self, message: Mapping[str, Any]) -> None:
        self.app = clean(message.get("app") or self.app, 60)
        self.folder = clean(message.get("folder") or self.folder, 1000)
        self.version = clean(message.get("version", ""), 24)
        self.pid = int(message.get("pid", 0) or 0)
        addresses = [clean(address, 120) for address in message.get("addresses") or ()]
        self.addresses = addresses or self.addresses
        self.local = clean(message.get("local") or "", 120)
        self.companions = {str(each.get("name")) for each in message.get("companions") or ()}
        self._generation(message)
        learn_presets(message.get("presets") or {})
        self.throttling.update(message.get("throttle") or {}, self.clock())
        if bool(message.get("hold_mail")) != self.holds_mail:
            self._mail({"hold": message.get("hold_mail")})
        workers = message.get("workers") or ()
        alive = {(int(worker["pid"]), int(worker.get("gen", 0))) for worker in workers
                 if worker.get("state") != "exited"}
        self.totals.start(message.get("past") or {}, alive)
        for pid in self.workers.keep(alive):
            self._gone(pid)
        for worker in workers:
            self.workers.event(worker, self.clock())
        failed = message.get("failed")
        known = (self.reload.state, self.reload.trying)
        if failed and known != ("failed", int(failed.get("gen", 0))):
            self._reload(failed)
        self.revision += 1

    def _generation(self, message: Mapping[str, Any]) -> None:
        reload = self.reload
        reload.gen = int(message.get("gen", 0) or 0)
        reload.enabled = bool(message.get("reload", False))
        if not message.get("failed"):
            reload.trying = reload.gen
            reload.state = ""
        if message.get("reload_ms") is not None:
            reload.ms = float(message["reload_ms"])
            if not message.get("failed"):
                reload.state = "ready"

    def _frame(self, message: Mapping[str, Any]) -> None:
        pid, gen = int(message["pid"]), int(message.get("gen", 0))
        now = self.clock()
        totals = message.get("totals")
        if totals is not None and not self.totals.frame(
                pid, gen, int(message.get("seq", 0)), totals):
            return
        if totals is not None:
            self.meters.process(pid, gen, totals, now)
            self.wall = now - float(message.get("t", now))
        if message.get("messages") is not None or message.get("messages_left_out"):
            self.conversations.frame(pid, message.get("messages") or (),
                                     int(message.get("messages_left_out", 0)))
        if not message.get("final") and totals is not None:
            self.workers.frame(message, now)
        done, running = live.split(message.get("rows") or ())
        for data in done:
            row = self.add_row(pid, gen, data)
            change = self.changes.add(data, gen)
            if change is not None:
                self.notify(clean(self.changes.line_of(change)),
                            "warning" if change["worse"] else "info", minor=True)
            self.live.finished(row)
            self.meters.row(row, now)
        if message.get("final"):
            self._gone(pid)
            return
        if running or totals is not None:  # further lines of a frame have no totals
            for row in self.live.told(pid, gen, running):
                self.meters.row(row, now)
        if message.get("connections") is not None:
            connections = self.connections.frame(
                pid, gen, message["connections"], int(message.get("connections_left_out", 0)))
            self.meters.connections(connections, now)
            self.live.connections(pid, connections, now, float(message.get("t", 0.0)))

    def add_row(self, pid: int, gen: int, data: Dict[str, Any]) -> Row:
        """Take in a request that has ended."""
        row = self.traffic.add(pid, gen, data)
        if self.pins.lacking and row.request is not None and key_of(row) in self.pins:
            self.pins.seen(request_of(row))
        self.routes.add(row)
        return row

    def _gone(self, pid: int) -> None:
        self.connections.ended(pid)
        self.live.ended(pid)
        self.meters.ended(pid)
        self.holding.ended(pid)

    def _worker(self, message: Mapping[str, Any]) -> None:
        worker = self.workers.event(message, self.clock())
        if worker.state == "blocked":
            self.notify(f"worker {worker.pid} is blocked: {worker.cause}", "error",
                        f"worker {worker.pid}")
            self.on_alarm(f"worker {worker.pid} is blocked", worker.cause)
        elif worker.state != "exited" and self.notices.cure(f"worker {worker.pid}"):
            self.notify(f"worker {worker.pid} goes on", "good")
        if worker.state == "serving":
            self.notices.cure(f"slot {worker.slot}")
        if worker.state != "exited":
            return
        self.totals.ended(worker.pid, worker.gen)
        self._gone(worker.pid)
        if not worker.expected:
            cause = worker.cause or "no cause known"
            retry = message.get("retry_in")
            soon = "" if retry is None else f", replaced in {float(retry):.1f} s"
            self.notices.cure(f"worker {worker.pid}")
            self.notify(f"worker {worker.pid} died: {cause}{soon}", "error",
                        f"slot {worker.slot}")

    def _reload(self, message: Mapping[str, Any]) -> None:
        reload = self.reload
        reload.event(message, self.clock())
        self.revision += 1
        self.mark_reload(reload, message)
        if reload.state == "ready" and reload.first:
            self.notify(f"started in {reload.spent()}", "good")
        elif reload.state == "ready":
            self.notify(f"reloaded {reload.spent()} · {reload.named or 'by request'}", "good")
        if reload.state == "ready":
            self.notices.cure("reload")
            self.on_ready()
        elif reload.state == "failed":
            self.notify(f"gen {reload.trying} failed: {reload.error} · {reload.outlook()}",
                        "error", "reload")

    def mark_reload(self, reload: Reload, message: Mapping[str, Any]) -> None:
        """A line between the requests where other code serves, or could not."""
        t = float(message.get("t", 0.0))
        if reload.state == "ready" and not reload.first:
            self.traffic.add_rule(reload.trying, t, reload.named, reload.ms or 0.0)
        elif reload.state == "failed":
            self.traffic.add_rule(reload.trying, t, f"{reload.error or reload.named} · "
                                  f"{reload.outlook()}", 0.0, failed=True)
            if message.get("error"):
                self.add_error({"t": t, "gen": reload.trying, **message["error"]})

    def _error(self, message: Mapping[str, Any]) -> None:
        error = self.add_error(message)
        self.notify(f"{error.title}  {error.place_in(self.folder)}", "error", minor=True)

    def add_error(self, message: Mapping[str, Any]) -> Error:
        newest = self.errors.items[-1] if self.errors.items else None
        if (newest is not None and message.get("where") in ("import", "startup")
                and newest.where == message.get("where")
                and newest.gen == message.get("gen")
                and newest.type == message.get("type")):
            return newest  # told both by itself and within the failed reload
        return self.errors.add(message)

    def _log(self, message: Mapping[str, Any]) -> None:
        self.log.add(message)
        if message.get("name") == "tremolo.debugger" and message.get("waits") is True:
            self.on_breakpoint(int(message.get("pid", 0)), clean(message.get("text", "")))
        if message.get("name") in ("tremolo.ending", ADVICE, SLOW_START):
            self.notify(clean(message.get("text", "")), "warning")
        if message.get("stream") == "tremolo" and message.get("name") in self.companions \
                and message.get("level") in ("warning", "error"):
            self.notify(clean(message.get("text", "")), str(message["level"]))
        if message.get("name") == "tremolo.watchdog":
            self.workers.stack(int(message.get("pid", 0)),
                               clean_lines(message.get("text", ""), 60)[1:])

    def _assets(self, message: Mapping[str, Any]) -> None:
        names = [clean(name, 80) for name in message.get("files") or ()][:4]
        self.notify(f"{', '.join(names)} changed: no new code, browsers are refreshed", "good")

    def _throttle(self, message: Mapping[str, Any]) -> None:
        self.throttling.update(message.get("throttle") or {}, self.clock())

    def _mail(self, message: Mapping[str, Any]) -> None:
        self.holds_mail = bool(message.get("hold"))
        if self.holds_mail:
            self.notify("mail is kept and not sent · K lets it go", "warning", "mail")
        else:
            self.notices.cure("mail")
            self.notify("mail is sent", "info")

    def _held(self, message: Mapping[str, Any]) -> None:
        held = self.holding.event(message, self.clock())
        count = len(self.holding.held)
        if not count:
            self.notices.cure("held")
        if message.get("state") == "timeout":
            self.notify(f"{held.method} {held.path} went on by itself: it was held for too long",
                        "warning")
        if count:
            name = "request is" if count == 1 else "requests are"
            self.notify(f"{count} {name} held · H lists them", "warning", "held")

    def _stats(self, message: Mapping[str, Any]) -> None:
        self.totals.exact(message.get("totals") or {})

    def _ack(self, message: Dict[str, Any]) -> None:
        command = self.commands.ack(message)
        if command is None or command.name == "filter":  # the list says how much it is of
            return
        if not command.ok:
            self.notify(f"{command.label}: {command.error or 'refused'}", "error")
        elif command.name == "throttle":
            self._throttled(command)
            self.notify(f"throttle: {command.label} · applied in "
                      f"{command.took * 1000:.0f} ms", "good")
        elif command.name not in ("detail", "mail", "recent"):  # of mail there is an event
            self.notify(command.said, "info")

    def _throttled(self, command: Command) -> None:
        told = command.result  # the table in force, if the server tells it
        if isinstance(told, dict) and all(isinstance(value, dict) for value in told.values()):
            self.throttling.update(told, self.clock())
        else:
            for scope, throttle in _wished(command).items():
                self.throttling.assume(scope, throttle or OFF, self.clock())

    def measured(self, scope: str) -> Directions:
        """What passes under `scope`, since it was first asked for."""
        rows = (entry for entry in reversed(self.traffic.entries) if isinstance(entry, Row))
        return self.meters.of(Scope(scope), rows, self.clock(), self.wall)

    # -- wishes

    def wanted_throttle(self, scope: str) -> Throttle:
        """The newest wish for `scope` that has no answer yet, else what is in force."""
        return self.wanted_table().get(Scope(scope), OFF)

    def wish_throttle(self, scope: str, throttle: Throttle, exempt: bool = False) -> Command:
        """Ask for `throttle` on `scope`. One that does nothing: remove what is there, or with
        `exempt` keep the scope free of what a wider one has."""
        scope = Scope(scope)
        where = "" if scope == EVERYTHING else f" on {scope.label}"
        wanted = throttle.as_dict() if throttle.active or exempt else None
        return self.commands.give("throttle", {"scope": scope, "throttle": wanted},
                                  describe(throttle) + where)

    def switch_mail(self) -> Command:
        """Keep mail from being sent, or no longer."""
        hold = not self.holds_mail
        return self.commands.give("mail", {"hold": hold}, "keep mail" if hold else "send mail")

    def wish_rules(self, rules: Mapping[Scope, Throttle], label: str) -> Command:
        """Ask for `rules`, by scope, and no others."""
        return self.commands.give("throttle", {"rules": {
            scope: throttle.as_dict() for scope, throttle in rules.items()}}, label)

    def wanted_table(self) -> Dict[Scope, Throttle]:
        """What is in force, with the wishes that have no answer yet."""
        table = dict(self.throttling.table)
        for command in self.commands.pending.values():
            if command.name != "throttle":
                continue
            if "rules" in command.args:
                table.clear()
            for scope, throttle in _wished(command).items():
                table.pop(scope, None)
                if throttle is not None:
                    table[scope] = throttle
        return table

    def switch_throttle(self) -> None:
        """All that is on goes off; once more: it is on again, exactly as it was."""
        table, known = self.wanted_table(), self.throttling
        if any(throttle.active for throttle in table.values()):
            known.switched_off = table
            self.wish_rules({}, f"off, T brings back {in_words(table)}")
        elif known.switched_off:
            self.wish_rules(known.switched_off, in_words(known.switched_off))
        else:
            self.notify("nothing was throttled yet: t chooses a throttle", "info")


def _wished(command: Command) -> Dict[Scope, Optional[Throttle]]:
    """What a command asks for, by scope; None: nothing in particular there."""
    rules = command.args.get("rules")
    if rules is None:
        rules = {command.args["scope"]: command.args["throttle"]}
    return {Scope(scope): Throttle.from_dict(value) if value else None
            for scope, value in rules.items()}
