"""The pace of one connection: what its flows ask before they move bytes.

Knows the table of limits and buckets; must not know asyncio, sockets, HTTP or the feed. Time
and randomness are passed in. An unthrottled connection pays one comparison of integers.
"""

from random import Random
from typing import Dict, Hashable, List, NamedTuple, Optional, Sequence, Tuple

from ..throttle import ALL
from .bucket import Gate, RateLimit, TokenBucket
from .scopes import Limits, Link, ThrottleTable
from .sharing import Share, SharedBucket

__all__ = [
    "Faults", "Flow", "Gate", "Limits", "Pacer", "RateLimit", "Share", "SharedBucket",
    "ThrottleTable", "TokenBucket", "UNLIMITED",
]

#: what a flow asks for when it cannot know: as much as one read may bring
AS_MUCH = 65536


class Flow:
    """One direction of a connection: all buckets that its bytes have to pass.

    `active` tells whether anything limits it; while it is False there is no need to ask.
    """

    __slots__ = ("active", "gates")

    def __init__(self, gates: Sequence[Gate] = ()) -> None:
        self.gates = tuple(gates)
        self.active = bool(self.gates)

    @property
    def shut(self) -> bool:
        """Nothing passes, however long one waits, until a rate changes."""
        return any(gate.limit.rate == 0 for gate in self.gates)

    def allowance(self, now: float, wanted: int = AS_MUCH) -> int:
        """Bytes, at most `wanted`, that may move at `now`; `charge()` what moves."""
        for gate in self.gates:
            wanted = gate.allowance(now, wanted)
            if wanted <= 0:
                return 0
        return wanted

    def charge(self, now: float, count: int) -> None:
        """Account for `count` bytes that moved, allowed or not; too many are a debt."""
        for gate in self.gates:
            gate.charge(now, count)

    def grant(self, now: float, wanted: int) -> int:
        """Take bytes, at most `wanted`, that may move at `now`."""
        for gate in self.gates:
            wanted = gate.allowance(now, wanted)
            if wanted <= 0:
                return 0
        for gate in self.gates:
            gate.charge(now, wanted)
        return wanted

    def repay(self, now: float, count: int) -> None:
        """Give back `count` bytes of the last grant that did not move."""
        for gate in self.gates:
            gate.repay(now, count)

    def ready_at(self, now: float, wanted: int) -> float:
        """The instant from which asking is worthwhile; infinity while nothing passes."""
        ready = now
        for gate in self.gates:
            at = gate.ready_at(now, wanted)
            if at > ready:
                ready = at
        return ready


#: the flow of all connections that nothing limits
UNLIMITED = Flow()


class Faults(NamedTuple):
    """What goes wrong with one response, as drawn by `Pacer.faults()`.

    Offsets count bytes of the response's body; None: does not happen.
    """

    #: answer with this status instead of asking the application
    status: Optional[int] = None
    #: reset the connection after this share (0 to 1) of the body, see `offset()`
    reset: Optional[float] = None
    #: send nothing more after this share of the body, until the throttle changes
    stall: Optional[float] = None
    #: close the connection after this many bytes of the body
    cut_after: Optional[int] = None
    #: seconds to wait between the last byte and closing the connection
    slow_close: float = 0.0

    @staticmethod
    def offset(share: float, length: Optional[int]) -> int:
        """The byte of the body at `share`; of its first 64 KiB when the length is unknown."""
        return int(share * (65536 if length is None else length))


#: nothing goes wrong
NO_FAULTS = Faults()


class Pacer:
    """The pace of one connection, in both directions.

    The connection compares `settled` with the table's `generation` when a request begins
    and calls `begin()` if they differ; it compares `generation` before it writes or reads
    and calls `refresh()` if they differ; it calls `close()` at its end. All else is to ask
    `download` and `upload`, while `active`.
    """

    __slots__ = ("_down_bucket", "_handler_limit", "_link", "_path", "_shares", "_table",
                 "_up_bucket", "active", "address", "connection_id", "download", "generation",
                 "limits", "own_rates", "settled", "upload")

    def __init__(self, table: ThrottleTable, connection_id: int, address: Hashable) -> None:
        self._table = table
        self.connection_id = connection_id
        self.address = address
        #: the table's generation that this was made for
        self.generation = 0
        #: the same, or 0 while the next request may have other limits than this one
        self.settled = 0
        #: bytes are limited in one direction at least
        self.active = False
        self.download = UNLIMITED
        self.upload = UNLIMITED
        #: the rule in force
        self.limits: Optional[Limits] = None
        #: in place of the API's rates for each connection, download and upload
        self.own_rates: Optional[Tuple[RateLimit, RateLimit]] = None
        self._path: Optional[bytes] = None
        self._handler_limit: Optional[RateLimit] = None
        self._down_bucket: Optional[TokenBucket] = None
        self._up_bucket: Optional[TokenBucket] = None
        self._link: Optional[Link] = None
        #: places in shared buckets, in the order of the gates
        self._shares: Dict[SharedBucket, Share] = {}
        if not table.active:
            self.generation = self.settled = table.generation

    def begin(self, path: Optional[bytes], now: float) -> None:
        """A request for `path` (raw, without query) begins: take the limits for it."""
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
        limits = self.limits = table.resolve(self.connection_id, self._path)
        shares: Dict[SharedBucket, Share] = {}
        link = None
        if (limits is not None and limits.scope[0] != "#"
                and not limits.throttle.per_connection):
            link = table.link(limits, self.address, now)
        self._hold(link, now)
        self.download = self._flow(True, limits, link, shares, now)
        self.upload = self._flow(False, limits, link, shares, now)
        for bucket, share in self._shares.items():
            if bucket not in shares:
                share.leave()
        self._shares = shares
        self.active = self.download.active or self.upload.active
        changing = table.by_path or self._handler_limit is not None
        self.settled = 0 if changing else self.generation

    def latency(self, random: Random) -> float:
        """Seconds to hold back the first byte of this response."""
        limits = self.limits
        if limits is None:
            return 0.0
        value = limits.throttle
        if not value.jitter:
            return value.latency
        return max(0.0, value.latency + random.uniform(-value.jitter, value.jitter))

    def faults(self, random: Random) -> Faults:
        """What shall go wrong with this response."""
        limits = self.limits
        if limits is None or not limits.throttle.faulty:
            return NO_FAULTS
        value = limits.throttle
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

    def _hold(self, link: Optional[Link], now: float) -> None:
        old = self._link
        if link is old:
            return
        if link is not None:
            link.users += 1
        if old is not None:
            old.users -= 1
            old.unused_since = now
        self._link = link

    def _flow(
        self, download: bool, limits: Optional[Limits], link: Optional[Link],
        shares: Dict[SharedBucket, Share], now: float,
    ) -> Flow:
        table = self._table
        offline = limits is not None and limits.throttle.offline
        own: Optional[RateLimit] = None
        shared: List[SharedBucket] = []
        if download and self._handler_limit is not None and not offline:
            own = self._handler_limit
        else:
            if limits is None or limits.scope == ALL:
                rates = self.own_rates or (table.download_rate, table.upload_rate)
                own = rates[0] if download else rates[1]
            if link is not None:
                shared.append(link.download if download else link.upload)
            elif limits is not None:
                rule = limits.download if download else limits.upload
                if own is None or rule.rate is not None:
                    own = rule
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
