"""A server that did what it is told it did, for a sampler to tell of."""

import types
from bisect import bisect_right

from tremolo.net.counters import LATENCY_BOUNDS, Counters
from tremolo.net.recent import SAMPLED, Recent
from tremolo.net.throttling.table import ThrottleTable


class FakeServer:
    def __init__(self):
        self.counters = Counters()
        self.connections = {}
        self.recent = None
        self.throttle = ThrottleTable()
        self.message_log = None

    def remember(self, wanted):
        self.recent = (self.recent or Recent()) if wanted else None

    def finish(self, count=1, target=b"/x", error=None, capture=None, status=200, seconds=0.01):
        for _ in range(count):
            self.counters.requests += 1
            self.counters.status[status // 100] += 1
            self.counters.latency[bisect_right(LATENCY_BOUNDS, seconds)] += 1
            exchange = types.SimpleNamespace(
                id=self.counters.requests, begun=0.0, ended=seconds,
                connection=types.SimpleNamespace(
                    id=1, is_tls=False, peer=("127.0.0.1", 1),
                    outbox=types.SimpleNamespace(throttle_seconds=0.0)),
                response=types.SimpleNamespace(
                    first_byte=0.005, event_stream=False, status=status, bytes_out=5),
                proxied=None, head=types.SimpleNamespace(
                    method=b"GET", target=target, version=b"1.1", headers=[]),
                route=None, bytes_in=0, throttle_mark=0.0, held=0.0,
                outcome="done", error=error, capture=None, choice=SAMPLED,
                stands_for=1.0, sought=None)
            if self.recent is not None:
                self.recent.begin(exchange)
                exchange.capture = capture
                self.recent.end(exchange, seconds, status >= 500)

    def connect(self, count):
        for number in range(1, count + 1):
            self.connections[number] = types.SimpleNamespace(
                id=number, peer=("127.0.0.1", number), word="idle", bytes_in=number,
                bytes_out=number * 10, opened=0.0, requests=1, current=None, upgraded=None,
                throttled=False)
