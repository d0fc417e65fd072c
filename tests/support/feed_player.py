"""A supervisor that only pretends: plays a realistic feed to the dashboard, answers commands.

Used by the dashboard's tests, and by hand to look at the real screen:

    python -m tests.support.feed_player [--rate 40] [--scene busy|quiet|still|broken]

Everything comes from one seed and one clock, so that a session can be played again.
"""

import argparse
import base64
import json
import random
import select
import socket
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

ROUTES: List[Tuple[str, str, str, int, float, int]] = [
    # method, target, route, weight, typical ms, typical size
    ("GET", "/api/items/{n}", "/api/items/{id}", 30, 3.0, 1200),
    ("GET", "/api/search?q={word}&page={n}", "/api/search", 14, 48.0, 48_000),
    ("POST", "/api/cart", "/api/cart", 6, 8.8, 311),
    ("GET", "/static/app.js", "/static/*", 12, 0.7, 88_000),
    ("GET", "/static/app.css", "/static/*", 10, 0.5, 12_100),
    ("GET", "/", "/", 8, 6.2, 14_600),
    ("PUT", "/api/items/{n}", "/api/items/{id}", 3, 12.0, 240),
    ("DELETE", "/api/cart/{n}", "/api/cart/{id}", 2, 5.0, 0),
    ("GET", "/images/hero-large.avif", "/images/*", 3, 31.0, 1_840_000),
    ("POST", "/api/checkout", "/api/checkout", 2, 110.0, 21),
]
WORDS = ("lamp", "desk", "b%C3%BCro", "chair", "oak+table")
TRACEBACK = '''Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/starlette/routing.py", line 288, in handle
    await self.app(scope, receive, send)
  File "/srv/venv/lib/python3.11/site-packages/starlette/routing.py", line 76, in app
    response = await f(request)
               ^^^^^^^^^^^^^^^^
  File "/home/ada/shop/shop/views.py", line 41, in checkout_view
    receipt = await cart.checkout(request.user.cart_id)
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/home/ada/shop/shop/cart.py", line 88, in checkout
    total += i['total'] * i['qty']
             ~^^^^^^^^^
KeyError: 'total'
'''
SYNTAX = '''Traceback (most recent call last):
  File "/home/ada/shop/shop/__init__.py", line 3, in <module>
    from . import cart
  File "/home/ada/shop/shop/cart.py", line 90
    def receipt(total:
               ^
SyntaxError: '(' was never closed
'''


SENT = [("Host", "127.0.0.1:8000"), ("Accept-Encoding", "br"), ("Cookie", "session=1f3c9a77")]
ORDER = b'{"items":[{"id":9,"price":12.50,"qty":2}],"password":"swordfish"}'


def message(headers: Sequence[Tuple[str, str]] = (), body: bytes = b"",
            size: Optional[int] = None, **given: Any) -> Dict[str, Any]:
    """A request or a response as a worker tells it; larger than `body`: it is cut."""
    whole = len(body) if size is None else size
    told = {"headers": list(map(list, headers)), "size": whole, "cut": whole > len(body)}
    try:
        return {**told, "body": body.decode("utf-8"), **given}
    except UnicodeDecodeError:
        return {**told, "body64": base64.b64encode(body).decode("ascii"), **given}


def bucket(ms: float) -> int:
    from tremolo.telemetry.histogram import bucket as index
    return index(ms / 1000)


class FeedPlayer:
    """Makes messages; keeps what a supervisor keeps: totals, workers, the throttle."""

    def __init__(self, seed: int = 7, clock: Callable[[], float] = time.time,
                 workers: Tuple[int, ...] = (4711, 4712)) -> None:
        self.random = random.Random(seed)
        self.clock = clock
        self.pids = list(workers)
        self.gen = self.trying = 14
        self.rate, self.with_messages = 40.0, False  # rows with headers and bodies
        self.throttle: Dict[str, Any] = {}
        self.commands: List[Dict[str, Any]] = []
        self.stopped = False
        self.started = clock()
        self.seqs = dict.fromkeys(self.pids, 0)
        self.row_ids = dict.fromkeys(self.pids, 0)
        self.totals = {pid: self._zero() for pid in self.pids}
        self.streams: List[Dict[str, Any]] = []
        self.queue: List[Dict[str, Any]] = []
        self.past: List[Dict[str, Any]] = []

    @staticmethod
    def _zero() -> Dict[str, Any]:
        return {"requests": 0, "status": [0, 0, 0, 0, 0], "bytes_in": 0, "bytes_out": 0,
                "connections": 0, "aborted": 0, "protocol_errors": 0, "errors": 0,
                "rows_dropped": 0, "telemetry_us": 0, "cpu_us": 0, "latency": {}, "open": 0,
                "active": 0, "websockets": 0, "rss": 64 << 20, "lag_us": 900}

    # -- messages

    def hello(self) -> Dict[str, Any]:
        now = self.clock()
        return {"v": 1, "kind": "hello", "t": now, "version": "1.0.0", "app": "shop:app",
                "addresses": ["http://127.0.0.1:8000"], "pid": 4600, "gen": self.gen,
                "reload": True, "reload_ms": 71.0, "throttle": self.throttle, "past": {},
                "workers": [self.worker(pid, "serving", slot)
                            for slot, pid in enumerate(self.pids)], "failed": None}

    def worker(self, pid: int, state: str, slot: int = 0, **more: Any) -> Dict[str, Any]:
        return {"v": 1, "kind": "worker", "t": self.clock(), "pid": pid, "gen": self.gen,
                "slot": slot, "state": state, "cause": None, "expected": True,
                "retry_in": None, **more}

    def row(self, pid: int, **given: Any) -> Dict[str, Any]:
        chance = self.random
        method, target, route, _, ms, size = chance.choices(
            ROUTES, weights=[entry[3] for entry in ROUTES])[0]
        ms = max(0.2, chance.lognormvariate(0, 0.45) * ms)
        status = 200
        if route == "/api/cart" and chance.random() < 0.3:
            status, size = 422, 180
        elif route == "/api/items/{id}" and chance.random() < 0.15:
            status, size = (304, 0) if chance.random() < 0.7 else (404, 98)
        elif route == "/api/checkout" and chance.random() < 0.5:
            status = 500
        self.row_ids[pid] += 1
        row = {"id": self.row_ids[pid], "conn": chance.randrange(80, 100),
               "t": self.clock() - ms / 1000, "method": method,
               "path": target.format(n=chance.randrange(1, 60), word=chance.choice(WORDS)),
               "route": route, "status": status, "bytes_in": 420,
               "bytes_out": int(size * chance.uniform(0.9, 1.1)), "ms": ms,
               "ttfb_ms": ms * chance.uniform(0.5, 0.98),
               "throttle_ms": ms * 0.3 if self.throttle else 0.0, "state": "done",
               "error": "KeyError: 'total'" if status == 500 else None, "http": "1.1",
               "secure": False}
        if self.with_messages:
            row.update(self.messages(method, row["bytes_out"], route))
        row.update(given)
        self.count(pid, row)
        return row

    def messages(self, method: str, size: int, route: str) -> Dict[str, Any]:
        """What a browser and a shop would have said to each other."""
        media, answer = ("image/avif", bytes(256)) if "/images" in route else (
            "application/json", b'{"id":42,"name":"lamp","tags":["oak","desk"]}')
        told = [("Content-Type", media), ("Set-Cookie", "session=1f3c9a77; HttpOnly")]
        return {"request": message(SENT, ORDER if method in ("POST", "PUT") else b""),
                "response": message(told, answer[:size], size)}

    def count(self, pid: int, row: Dict[str, Any]) -> None:
        totals = self.totals[pid]
        totals["requests"] += 1
        if row["status"]:
            totals["status"][row["status"] // 100 - 1] += 1
        totals["bytes_in"] += row["bytes_in"]
        totals["bytes_out"] += row["bytes_out"]
        totals["cpu_us"] += 2500
        key = str(bucket(row["ms"]))
        totals["latency"][key] = totals["latency"].get(key, 0) + 1

    def connections(self, pid: int) -> List[Dict[str, Any]]:
        chance, age = random.Random(pid), self.clock() - self.started
        rows = []
        for number in range(80, 86):
            sent = int(300_000 * chance.uniform(0.2, 2))
            rows.append({"id": number, "peer": f"127.0.0.1:{chance.randrange(40000, 60000)}",
                         "state": "idle", "bytes_in": int(sent / 40), "bytes_out": sent,
                         "rate_in": 0.0, "rate_out": 0.0, "age": age + number - 79,
                         "requests": 3 + number % 7, "current": "", "throttled": False})
        for stream in self.streams:
            if stream["pid"] == pid:
                rows.append({key: value for key, value in stream.items() if key != "pid"})
        return rows

    def stream(self, pid: int, number: int, current: str, rate: float, state: str) -> None:
        self.streams.append({
            "pid": pid, "id": number, "peer": f"192.168.1.{number}:51{number:03d}"[:21],
            "state": state, "bytes_in": 900, "bytes_out": 0, "rate_in": 0.0, "rate_out": rate,
            "age": 0.0, "requests": 1, "current": current, "throttled": False})

    def frame(self, pid: int, rows: Optional[List[Dict[str, Any]]] = None,
              **more: Any) -> Dict[str, Any]:
        self.seqs[pid] += 1
        totals = self.totals[pid]
        connections = self.connections(pid)
        totals["open"] = len(connections)
        totals["active"] = sum(bool(row["current"]) for row in connections)
        totals["websockets"] = sum(row["state"] == "websocket" for row in connections)
        return {"v": 1, "kind": "frame", "pid": pid, "gen": self.gen,
                "slot": self.pids.index(pid), "seq": self.seqs[pid], "t": self.clock(),
                "totals": json.loads(json.dumps(totals)), "rows": rows or [],
                "connections": connections, "connections_left_out": 0, "final": False, **more}

    def stats(self) -> Dict[str, Any]:
        sums = self._zero()
        for totals in [*self.past, *self.totals.values()]:
            for name, value in totals.items():
                if name == "status":
                    sums[name] = [a + b for a, b in zip(sums[name], value)]
                elif name == "latency":
                    for key, count in value.items():
                        sums[name][key] = sums[name].get(key, 0) + count
                else:
                    sums[name] += value
        return {"v": 1, "kind": "stats", "t": self.clock(), "gen": self.gen, "totals": sums,
                "rates": {}, "latency": {}}

    def log(self, text: str, level: str = "info", name: str = "shop.repo",
            stream: str = "log") -> Dict[str, Any]:
        return {"v": 1, "kind": "log", "t": self.clock(), "pid": self.pids[0], "gen": self.gen,
                "stream": stream, "level": level, "name": name, "text": text}

    def error(self, **given: Any) -> Dict[str, Any]:
        return {"v": 1, "kind": "error", "t": self.clock(), "pid": self.pids[0],
                "gen": self.gen, "where": "request", "type": "KeyError", "text": "'total'",
                "traceback": TRACEBACK, "file": "shop/cart.py", "line": 88,
                "request": self.row_ids[self.pids[0]], "method": "POST",
                "path": "/api/checkout", "status": 500, **given}

    def reload(self, state: str, **given: Any) -> Dict[str, Any]:
        if state == "started":
            self.trying += 1
        if state == "ready":
            self.replace_workers()
        message = {"v": 1, "kind": "reload", "t": self.clock(), "gen": self.trying,
                   "serving": self.gen, "state": state,
                   "files": ["shop/cart.py", "shop/tax.py"], "preloaded": 612,
                   "mode": "zygote", "modules": [], "parts": {}}
        if state == "ready":
            message.update(ms=74.0, parts={"seen": 12.0, "fork": 3.0, "import": 48.0,
                                           "lifespan": 6.0, "switch": 5.0},
                           modules=[["shop.views", 21.0], ["shop.cart", 11.0]])
        if state == "failed":
            message["error"] = self.error(
                gen=self.trying, where="import",
                type="SyntaxError", text="'(' was never closed",
                traceback=SYNTAX, line=90, request=None, method=None, path=None, status=None)
        message.update(given)
        return message

    def replace_workers(self) -> None:
        """New processes serve; the old ones drain, and their last counters count as past."""
        old_gen, self.gen = self.gen, self.trying
        for slot, pid in enumerate(self.pids):
            self.queue.append({**self.worker(pid, "draining", slot), "gen": old_gen})
            last = {**self.frame(pid), "gen": old_gen, "final": True, "connections": []}
            self.queue += [last, {**self.worker(pid, "exited", slot), "gen": old_gen,
                                  "cause": "drained"}]
            self.past.append(self.totals.pop(pid))
        old, self.pids = self.pids, [pid + 10 for pid in self.pids]
        for slot, pid in enumerate(self.pids):
            self.seqs[pid], self.row_ids[pid], self.totals[pid] = 0, 0, self._zero()
            self.queue.append(self.worker(pid, "serving", slot))
        for stream in self.streams:
            stream["pid"] = self.pids[old.index(stream["pid"])]

    def answer(self, command: Dict[str, Any]) -> List[Dict[str, Any]]:
        """What a supervisor says to a command."""
        self.commands.append(command)
        args = command.get("args", {})
        replies: List[Dict[str, Any]] = []
        ack = {"v": 1, "kind": "ack", "seq": command["seq"], "ok": True, "error": None,
               "result": None}
        if command["name"] == "throttle":
            if "rules" in args:
                self.throttle = dict(args["rules"])
            else:
                self.throttle.pop(args["scope"], None)
            if args.get("throttle"):
                self.throttle[args["scope"]] = args["throttle"]
            replies.append({"v": 1, "kind": "throttle", "t": self.clock(),
                            "throttle": dict(self.throttle)})
        elif command["name"] == "reload":
            replies += [self.reload("started"), self.reload("ready", files=[])]
        elif command["name"] == "cut":
            self.streams = [stream for stream in self.streams if stream["id"] != args["conn"]]
        elif command["name"] == "stop":
            self.stopped = True
        elif command["name"] not in (
                "detail", "filter", "workers", "restart", "drain", "status", "message",
                "intercept", "release", "recent"):
            ack.update(ok=False, error=f"unknown command {command['name']}")
        return [ack, *replies]

    # -- a whole session

    def script(self, tick: int) -> List[Dict[str, Any]]:
        """What happens at the tenth of a second `tick` beside requests."""
        if tick == 1:
            self.stream(4711, 88, "GET /downloads/big.iso", 1.1e6, "sending")
            self.stream(4712, 91, "GET /ws/chat", 3400.0, "websocket")
            return [self.log("application startup complete", name="shop")]
        if tick == 12:
            return [self.log("\x1b[32mcache\x1b[0m warm: \x1b[1m1,204\x1b[0m items", "info")]
        if tick == 25:
            return [self.error(),
                    self.log("checkout failed for cart 991", "error", "shop.cart")]
        if tick == 40:
            return [self.reload("started")]
        if tick == 41:
            return [self.reload("ready"), self.log("gen ready", "info", "tremolo", "tremolo")]
        if tick % 17 == 0:
            return [self.log(f"cache miss item={tick}", "debug" if tick % 2 else "info")]
        if tick % 29 == 0:
            return [self.log("slow query: 48 ms SELECT * FROM items", "warning", "shop.db")]
        return []

    def step(self, tick: int) -> List[Dict[str, Any]]:
        """The messages of one tenth of a second."""
        messages = self.script(tick)
        messages += self.queue
        self.queue.clear()
        swing = 1 + 0.5 * random.Random(tick // 10).uniform(-1, 1)
        for pid in self.pids:
            wanted = self.rate * swing / 10 / len(self.pids)
            count = int(wanted) + (self.random.random() < wanted % 1)
            limit = (self.throttle.get("*") or {}).get("download")
            for stream in self.streams:
                if stream["pid"] == pid:
                    full = 1.1e6 if stream["state"] == "sending" else 3400.0
                    rate = min(full, limit) if limit else full
                    rate *= self.random.uniform(0.97, 1.03)
                    stream["rate_out"], stream["throttled"] = rate, bool(limit)
                    stream["bytes_out"] += int(rate / 10)
                    stream["age"] += 0.1
                    self.totals[pid]["bytes_out"] += int(rate / 10)
            rows = [self.row(pid) for _ in range(count)]
            most = 10 if self.with_messages else 150  # rows that fit into a line
            messages += [self.frame(pid, rows[start:start + most])
                         for start in range(0, max(1, len(rows)), most)]
        if tick % 10 == 0:
            messages.append(self.stats())
        return messages


def line(message: Dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def play(player: FeedPlayer, sock: socket.socket, seconds: float, quiet: bool) -> None:
    """Serve one viewer in real time until it leaves, stops the server, or time is up."""
    sock.sendall(line(player.hello()))
    begun, tick, waiting = time.monotonic(), 0, b""
    while time.monotonic() - begun < seconds and not player.stopped:
        due = begun + tick / 10
        while True:
            ready, _, _ = select.select([sock], [], [], max(0.0, due - time.monotonic()))
            if not ready:
                break
            data = sock.recv(65536)
            if not data:
                return
            *whole, waiting = (waiting + data).split(b"\n")
            for text in whole:
                for reply in player.answer(json.loads(text)):
                    sock.sendall(line(reply))
        tick += 1
        if quiet and tick > 20:
            player.streams.clear()
            messages = [player.frame(pid) for pid in player.pids] if tick % 10 == 0 else []
        else:
            messages = player.step(tick)
        for message in messages:
            sock.sendall(line(message))


def main(argv: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--scene", choices=("busy", "quiet", "still", "broken"), default="busy")
    options = parser.parse_args(argv)
    import tui

    ours, theirs = socket.socketpair()
    player = FeedPlayer()
    player.rate, player.with_messages = options.rate, True
    if options.scene == "still":  # no transfers that go on for a while
        player.script = lambda tick: []  # type: ignore[method-assign]
    if options.scene == "broken":
        usual = player.script
        player.script = lambda tick: (  # type: ignore[method-assign]
            [player.reload("started"), player.reload("failed")] if tick == 30 else usual(tick))

    def serve() -> None:
        try:
            play(player, theirs, options.seconds, options.scene in ("quiet", "still"))
        except OSError:
            return
        finally:
            theirs.close()

    threading.Thread(target=serve, daemon=True).start()
    return tui.run(ours, {"app": "shop:app", "addresses": ["http://127.0.0.1:8000"]})


if __name__ == "__main__":
    sys.exit(main())
