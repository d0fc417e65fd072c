"""The rules in force, by scope: the worker's one table of throttles.

Knows scopes, throttle values and the buckets of clients; must not know asyncio, sockets, HTTP
or the feed.

Rules:

* the narrowest rule that matches a connection is in force, wholly: the handler's own rate
  (for downloads), else the rule for the connection, else that for its client's address, else
  the most specific path pattern, else the rule for everything;
* a rule's rates are a link: connections from one address share them, as a phone's would,
  unless the throttle says `per_connection` or the rule is for one connection;
* the rates of the API (`download_rate`, `upload_rate`) count for each connection and belong
  to the scope of everything: a rule for everything works beside them, any narrower one
  replaces them;
* a total caps all that passes in one direction;
* `offline` is no rate: a handler's own rate does not lift it.
"""

from typing import Dict, Hashable, List, Optional, Pattern, Tuple
from urllib.parse import unquote_to_bytes

from ...scope import EVERYTHING, TOTAL, Scope, client_address
from ...throttle import Throttle
from .bucket import RateLimit
from .shared_bucket import SharedBucket

#: seconds after which the bucket of an address without connections is full anyway
FORGET_AFTER = 2.0


class Rule:
    """A rule of the table: its scope, its value, and the two rates that buckets follow."""

    __slots__ = ("download", "pattern", "scope", "shared", "throttle", "upload")

    def __init__(self, scope: Scope, throttle: Throttle, now: float) -> None:
        self.scope = scope
        self.throttle = throttle
        self.download = RateLimit(throttle.download, now)
        self.upload = RateLimit(throttle.upload, now)
        #: connections of one client share the rates
        self.shared = scope.connection is None and not throttle.per_connection
        self.pattern: Optional[Pattern[bytes]] = scope.pattern if scope.is_path else None

    def change(self, throttle: Throttle, now: float) -> None:
        self.throttle = throttle
        self.shared = self.scope.connection is None and not throttle.per_connection
        self.download.change(throttle.download, now)
        self.upload.change(throttle.upload, now)


class ClientBuckets:
    """The two buckets that connections from one address share under one rule."""

    __slots__ = ("download", "unused_since", "upload", "users")

    def __init__(self, rule: Rule, now: float) -> None:
        self.download = SharedBucket(rule.download, now)
        self.upload = SharedBucket(rule.upload, now)
        self.users = 0
        self.unused_since = now


class ThrottleTable:
    """All rules in force, by scope; `generation` counts the changes."""

    def __init__(
        self, now: float = 0.0, *, download_rate: float = 0, upload_rate: float = 0
    ) -> None:
        #: raised by every change; a Pacer that was made for another one must `refresh()`
        self.generation = 1
        #: something is limited or disturbed somewhere
        self.active = False
        #: some rule is for a path, so requests of one connection may differ
        self.by_path = False
        self._rules: Dict[Scope, Rule] = {}
        self._connections: Dict[int, Rule] = {}
        self._clients: Dict[str, Rule] = {}
        self._paths: List[Rule] = []
        self._buckets: Dict[Tuple[Scope, Hashable], ClientBuckets] = {}
        self._sweep_above = 64
        self.total_value: Optional[Throttle] = None
        self.total_download = SharedBucket(RateLimit(None, now), now)
        self.total_upload = SharedBucket(RateLimit(None, now), now)
        #: rates of the API, for each connection
        self.download_rate = RateLimit(None, now)
        self.upload_rate = RateLimit(None, now)
        self.set_connection_rates(download_rate, upload_rate, now)

    def set(self, scope: str, throttle: Optional[Throttle], now: float) -> None:
        """Put `throttle` in force for `scope`, or with None remove the scope's rule.

        `OFF` is a rule too: it exempts the scope from wider ones. Raises InvalidScope for a
        text that is none.
        """
        scope = Scope(scope)
        if scope == TOTAL:
            self._set_total(throttle, now)
            return
        known = self._rules.get(scope)
        if throttle is None:
            if known is not None:
                del self._rules[scope]
        elif known is not None:
            known.change(throttle, now)
        else:
            self._rules[scope] = Rule(scope, throttle, now)
        self._changed()

    def set_total(
        self, download: Optional[float], upload: Optional[float], now: float
    ) -> None:
        """Let at most these many bytes per second pass in all; None: unlimited."""
        self._set_total(Throttle(download=download, upload=upload), now)

    def set_connection_rates(self, download: float, upload: float, now: float) -> None:
        """Bytes per second for each connection, the API's rates; 0: unlimited."""
        self.download_rate.change(download or None, now)
        self.upload_rate.change(upload or None, now)
        self._changed()

    def clear(self, now: float) -> None:
        """Remove all rules and the total; the rates of the API stay."""
        self._rules.clear()
        self._set_total(None, now)

    def rules(self) -> Dict[Scope, Throttle]:
        """What is in force, by scope; with the total if there is one."""
        found = {scope: rule.throttle for scope, rule in self._rules.items()}
        if self.total_value is not None:
            found[TOTAL] = self.total_value
        return found

    def resolve(self, connection_id: int, path: Optional[bytes] = None,
                address: Hashable = None) -> Optional[Rule]:
        """The narrowest rule for a connection, a path (percent-encoded, no query), and the
        address of the client."""
        rules = self._rules
        if not rules:
            return None
        found = self._connections.get(connection_id)
        if found is None and self._clients and isinstance(address, str):
            found = self._clients.get(client_address(address))
        if found is not None:
            return found
        if path is not None and self._paths:
            if b"%" in path:
                path = unquote_to_bytes(path)
            for rule in self._paths:
                if rule.pattern is not None and rule.pattern.fullmatch(path):
                    return rule
        return rules.get(EVERYTHING)

    def client_buckets(self, rule: Rule, address: Hashable, now: float) -> ClientBuckets:
        """The buckets of `address` under a rule, made when there are none."""
        key = (rule.scope, address)
        found = self._buckets.get(key)
        if found is None or found.download.limit is not rule.download:
            if len(self._buckets) >= self._sweep_above:
                self.sweep(now)
                self._sweep_above = max(64, 2 * len(self._buckets))
            found = self._buckets[key] = ClientBuckets(rule, now)
        return found

    def sweep(self, now: float) -> None:
        """Forget buckets of addresses that have had no connection for a while."""
        for key, buckets in list(self._buckets.items()):
            if buckets.users == 0 and now - buckets.unused_since >= FORGET_AFTER:
                del self._buckets[key]

    @property
    def clients(self) -> int:
        """Addresses, times rules, that have buckets."""
        return len(self._buckets)

    def _set_total(self, throttle: Optional[Throttle], now: float) -> None:
        if throttle is not None and throttle.download is None and throttle.upload is None:
            throttle = None
        self.total_value = throttle
        self.total_download.limit.change(throttle.download if throttle else None, now)
        self.total_upload.limit.change(throttle.upload if throttle else None, now)
        self._changed()

    def _changed(self) -> None:
        self._paths = sorted(
            (rule for rule in self._rules.values() if rule.pattern is not None),
            key=lambda rule: rule.scope.specificity)
        self._connections = {scope.connection[1]: rule for scope, rule in self._rules.items()
                             if scope.connection is not None}
        self._clients = {scope.client: rule for scope, rule in self._rules.items()
                         if scope.client is not None}
        self.by_path = bool(self._paths)
        self.active = bool(
            self._rules or self.total_value is not None
            or self.download_rate.rate is not None or self.upload_rate.rate is not None)
        self.generation += 1
