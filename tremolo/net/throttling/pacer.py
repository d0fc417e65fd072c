"""The pace of one connection: what its flows ask before they move bytes.

Knows the table of rules and buckets; must not know asyncio, sockets, HTTP or the feed. Time
and randomness are passed in.
"""

from typing import TYPE_CHECKING, Dict, Hashable, List, Optional, Tuple

from ...scope import EVERYTHING
from .bucket import Gate, RateLimit, TokenBucket
from .faults import NO_FAULTS, Faults
from .flow import UNLIMITED, Flow
from .shared_bucket import Share, SharedBucket
from .table import ClientBuckets, Rule, ThrottleTable

if TYPE_CHECKING:
    from random import Random


class Pacer:
    """The pace of one connection, in both directions.

    The connection compares `settled` with the table's `generation` when a request begins
    and calls `begin()` if they differ; it compares `generation` before it writes or reads
    and calls `refresh()` if they differ; it calls `close()` at its end. All else is to ask
    `download` and `upload`, while `active`.
    """

    __slots__ = ("_buckets", "_down_bucket", "_handler_limit", "_path", "_shares", "_table",
                 "_up_bucket", "active", "address", "connection_id", "download", "generation",
                 "own_rates", "rule", "settled", "upload")

    def __init__(self, table: ThrottleTable, connection_id: int, address: Hashable) -> None:
        self._table = table
        self.connection_id = connection_id
        self.address = address
        #: the table's generation that this was made for
        self.generation = 0
        #: the same, or 0 while the next request may have another rule than this one
        self.settled = 0
        #: bytes are limited in one direction at least
        self.active = False
        self.download = UNLIMITED
        self.upload = UNLIMITED
        #: the rule in force
        self.rule: Optional[Rule] = None
        #: in place of the API's rates for each connection, download and upload
        self.own_rates: Optional[Tuple[RateLimit, RateLimit]] = None
        self._path: Optional[bytes] = None
        self._handler_limit: Optional[RateLimit] = None
        self._down_bucket: Optional[TokenBucket] = None
        self._up_bucket: Optional[TokenBucket] = None
        self._buckets: Optional[ClientBuckets] = None
        #: places in shared buckets, in the order of the gates
        self._shares: Dict[SharedBucket, Share] = {}
        if not table.active:
            self.generation = self.settled = table.generation

    def begin(self, path: Optional[bytes], now: float) -> None:
        """A request for `path` (raw, without query) begins: take up its rule."""
        self._path = path
        self._handler_limit = None
        self.refresh(now)

    def set_rate(self, rate: float, now: float) -> None:
        """The handler's own rate for this response, bytes per second; 0: unlimited."""
        if self._handler_limit is None:
            self._handler_limit = RateLimit(rate or None, now)
        else:
            self._handler_limit.change(rate or None, now)
        self.refresh(now)

    def drop_rate(self, now: float) -> None:
        """The handler has no rate of its own any more: the other scopes count again."""
        self._handler_limit = None
        self.refresh(now)

    def refresh(self, now: float) -> None:
        """Follow the table as it is now; buckets in use keep what they have and owe."""
        table = self._table
        self.generation = table.generation
        rule = self.rule = table.resolve(self.connection_id, self._path, self.address)
        shares: Dict[SharedBucket, Share] = {}
        buckets = None
        if rule is not None and rule.shared:
            buckets = table.client_buckets(rule, self.address, now)
        self._hold(buckets, now)
        self.download = self._flow(True, rule, buckets, shares, now)
        self.upload = self._flow(False, rule, buckets, shares, now)
        for bucket, share in self._shares.items():
            if bucket not in shares:
                share.leave()
        self._shares = shares
        self.active = self.download.active or self.upload.active
        changing = table.by_path or self._handler_limit is not None
        self.settled = 0 if changing else self.generation

    def latency(self, random: "Random") -> float:
        """Seconds to hold back the first byte of this response."""
        rule = self.rule
        if rule is None:
            return 0.0
        value = rule.throttle
        if not value.jitter:
            return value.latency
        return max(0.0, value.latency + random.uniform(-value.jitter, value.jitter))

    def faults(self, random: "Random") -> Faults:
        """What shall go wrong with this response."""
        rule = self.rule
        if rule is None or not rule.throttle.faulty:
            return NO_FAULTS
        value = rule.throttle
        return Faults(
            status=value.error_status if random.random() < value.error_rate else None,
            reset=random.random() if random.random() < value.reset_rate else None,
            stall=random.random() if random.random() < value.stall_rate else None,
            cut_after=value.cut_after,
            slow_close=value.slow_close,
        )

    def close(self, now: float) -> None:
        """The connection is gone. May be called again."""
        for share in self._shares.values():
            share.leave()
        self._shares = {}
        self._hold(None, now)
        self.download = self.upload = UNLIMITED
        self.active = False

    def _hold(self, buckets: Optional[ClientBuckets], now: float) -> None:
        old = self._buckets
        if buckets is old:
            return
        if buckets is not None:
            buckets.users += 1
        if old is not None:
            old.users -= 1
            old.unused_since = now
        self._buckets = buckets

    def _flow(
        self, download: bool, rule: Optional[Rule], buckets: Optional[ClientBuckets],
        shares: Dict[SharedBucket, Share], now: float,
    ) -> Flow:
        table = self._table
        offline = rule is not None and rule.throttle.offline
        own: Optional[RateLimit] = None
        shared: List[SharedBucket] = []
        if download and self._handler_limit is not None and not offline:
            own = self._handler_limit
        else:
            if rule is None or rule.scope == EVERYTHING:
                rates = self.own_rates or (table.download_rate, table.upload_rate)
                own = rates[0] if download else rates[1]
            if buckets is not None:
                shared.append(buckets.download if download else buckets.upload)
            elif rule is not None:
                limit = rule.download if download else rule.upload
                if own is None or limit.rate is not None:
                    own = limit
        shared.append(table.total_download if download else table.total_upload)
        gates: List[Gate] = []
        if own is not None and own.rate is not None:
            gates.append(self._own_bucket(download, own, now))
        for bucket in shared:
            if bucket.limit.rate is not None:
                share = self._shares.get(bucket)
                shares[bucket] = share if share is not None else bucket.join()
                gates.append(shares[bucket])
        flow = self.download if download else self.upload
        if len(gates) == len(flow.gates) and all(a is b for a, b in zip(gates, flow.gates)):
            return flow
        return Flow(gates) if gates else UNLIMITED

    def _own_bucket(self, download: bool, limit: RateLimit, now: float) -> TokenBucket:
        bucket = self._down_bucket if download else self._up_bucket
        if bucket is None:
            bucket = TokenBucket(limit, now)
            if download:
                self._down_bucket = bucket
            else:
                self._up_bucket = bucket
        else:
            bucket.follow(limit, now)
        return bucket
