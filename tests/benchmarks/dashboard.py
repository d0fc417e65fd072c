"""What the dashboard costs: itself (first frame, CPU, key to paint), and the server beside it.

    python tests/benchmarks/dashboard.py [costs|throughput] [ROUNDS]

`costs` plays a feed to a dashboard on a pseudo-terminal of 160x48, and prints each number beside
what it shall stay below. `throughput` needs `wrk`: windows of load alternate between a running
and a stopped (SIGSTOP) dashboard on the same server, and the plain server of `tremolo run`. Quote
the ratios.
"""

import contextlib
import os
import pathlib
import random
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.benchmarks.servers import HELLO, ROOT, free_port, wait_for, wrk
from tests.support.feed_player import FeedPlayer, line
from tests.support.terminal import Terminal

SECONDS = 10
CONNECTIONS = 32
ROWS = 5_000  # a second
TICK = os.sysconf("SC_CLK_TCK")
SHOW = ("import socket, sys, tui; sock = socket.socket(fileno=int(sys.argv[1])); "
        "sys.exit(tui.run(sock, {'app': 'shop:app', 'addresses': ['http://127.0.0.1:8000']}))")


# -- what it costs itself

class Played:
    """A dashboard on a terminal of its own, and a feed that is played to it."""

    def __init__(self, rate):
        self.player = FeedPlayer()
        self.player.rate = rate
        self.sock, theirs = socket.socketpair()
        theirs.set_inheritable(True)
        self.terminal = Terminal([sys.executable, "-c", SHOW, str(theirs.fileno())], 160, 48,
                                 cwd=str(ROOT), env={"XDG_STATE_HOME": tempfile.mkdtemp()})
        theirs.close()
        self.sock.setblocking(False)
        self.sock.sendall(line(self.player.hello()))
        self.terminal.expect("TREMOLO", "q quit", within=30)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def _play(self):
        """Ten frames a second; what the dashboard does not take is left out."""
        waiting, tick = b"", 0
        while not self._ended.wait(0.1):
            tick += 1
            with contextlib.suppress(BlockingIOError):
                while self.sock.recv(65536):
                    pass
            if not waiting and self.player.rate:
                waiting = b"".join(map(line, self.player.step(tick)))
            with contextlib.suppress(BlockingIOError):
                while waiting:
                    waiting = waiting[self.sock.send(waiting):]

    def cpu(self, seconds):
        """Its share of one core while `seconds` pass."""
        before, began = ticks(self.terminal.pid), time.monotonic()
        while time.monotonic() < began + seconds:
            self.terminal.read(0.1)
        return (ticks(self.terminal.pid) - before) / TICK / (time.monotonic() - began)

    def key_to_paint(self, rounds=30):
        """Seconds from a key to what it shows, the 95th percentile: the throttle, which is one
        line until it has the focus. What is written is searched as it comes, for an emulator of
        a terminal takes longer than the dashboard; keys come at any moment of its turns."""
        dice, times = random.Random(1), []
        for _ in range(rounds):
            began = time.monotonic()
            os.write(self.terminal._fd, b"7")
            self._written(b"preset", 10)
            times.append(time.monotonic() - began)
            os.write(self.terminal._fd, b"1")
            self._written(None, 0.3 + dice.random() / 5)
        return statistics.quantiles(times, n=20)[-1]

    def _written(self, words, within):
        """Read what the dashboard writes until `words` are among it, or for so many seconds."""
        end, data = time.monotonic() + within, b""
        while words is None or words not in data:
            left = end - time.monotonic()
            if left <= 0:
                assert words is None, f"{words!r} was not drawn within {within} s"
                return
            if select.select([self.terminal._fd], [], [], left)[0]:
                data += os.read(self.terminal._fd, 65536)

    def close(self):
        self._ended.set()
        self._thread.join(5)
        self.sock.close()
        self.terminal.__exit__()


@contextlib.contextmanager
def played(rate):
    shown = Played(rate)
    try:
        yield shown
    finally:
        shown.close()


def first_paints(rounds):
    """From the command to the first frame with the application's name, seconds and those of
    processor, and to the first that Textual draws: the medians."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "hello.py").write_text(HELLO)
        pathlib.Path(folder, "runtime").mkdir(mode=0o700)
        env = {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": f"{folder}/runtime",
               "XDG_STATE_HOME": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(rounds + 1):
            began = time.monotonic()
            with Terminal([sys.executable, "-m", "tremolo", "dev", "hello:app", "--port", "0"],
                          160, 48, cwd=folder, env=env) as terminal:
                terminal.expect("hello:app", "starting", within=30)
                first, used = time.monotonic() - began, ticks(terminal.pid) / TICK
                terminal.expect("all requests", within=30)
                whole, all_used = time.monotonic() - began, ticks(terminal.pid) / TICK
                terminal.press("q")
                terminal.wait(15)
            found.append((first, used, whole, all_used))
    return [statistics.median(values) for values in zip(*found[1:])]  # the first one compiles


def ticks(pid):
    """Of processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def costs(rounds):
    first, used, whole, all_used = (value * 1000 for value in first_paints(rounds))
    told("first frame, median", first, 350, "ms")
    print(f"{'':22} {used:8.1f} ms of processor in its process")
    print(f"{'first of Textual':22} {whole:8.1f} ms\n{'':22} {all_used:8.1f} ms of processor")
    with played(0) as shown:
        shown.cpu(3)
        told("idle", shown.cpu(SECONDS) * 100, 1, "% of a core")
    with played(ROWS) as shown:
        shown.cpu(3)
        told(f"{ROWS:,} rows/s", shown.cpu(SECONDS) * 100, 15, "% of a core")
        told("key to paint, p95", shown.key_to_paint() * 1000, 100, "ms")


def told(name, value, limit, unit):
    verdict = "" if value < limit else "   TOO MUCH"
    print(f"{name:22} {value:8.1f} {unit:12} below {limit}{verdict}", flush=True)


# -- what it costs the server

def drawn(terminal, port, seconds=SECONDS):
    """A window of load while the terminal is read, as a terminal does: requests per second,
    and their number."""
    result = []
    thread = threading.Thread(target=lambda: result.append(wrk(port, CONNECTIONS, seconds)))
    thread.start()
    while thread.is_alive():
        terminal.read(0.1)
    return result[0]


def throughput(rounds):
    found = {"dashboard running": [], "dashboard stopped": [], "tremolo run": []}
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "hello.py").write_text(HELLO)
        runtime = pathlib.Path(folder, "runtime")
        runtime.mkdir(mode=0o700)
        env = {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(runtime)}
        ports = free_port(), free_port()
        plain = subprocess.Popen(
            [sys.executable, "-m", "tremolo", "run", "hello:app", "--port", str(ports[1]),
             "--log-level", "ERROR"], cwd=folder, env={**os.environ, **env},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with Terminal([sys.executable, "-m", "tremolo", "dev", "hello:app", "--port",
                           str(ports[0])], 160, 48, cwd=folder, env=env) as terminal:
                terminal.expect("gen 1 ✔", within=20)
                wait_for(ports[1])
                for _ in range(rounds):
                    found["dashboard running"].append(drawn(terminal, ports[0])[0])
                    os.kill(terminal.pid, signal.SIGSTOP)
                    found["dashboard stopped"].append(wrk(ports[0], CONNECTIONS, SECONDS)[0])
                    os.kill(terminal.pid, signal.SIGCONT)
                    terminal.read(1.0)
                    found["tremolo run"].append(wrk(ports[1], CONNECTIONS, SECONDS)[0])
                terminal.press("q")
        finally:
            plain.send_signal(signal.SIGTERM)
            plain.wait(15)
    base = statistics.median(found["tremolo run"])
    for name, rates in found.items():
        rate = statistics.median(rates)
        print(f"{name:18} {rate:9.0f} req/s   {rate / base:.3f} of tremolo run")


def main():
    what = [word for word in sys.argv[1:] if not word.isdigit()] or ["costs", "throughput"]
    rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), 3)
    if "costs" in what:
        costs(rounds)
    if "throughput" in what:
        throughput(rounds)


if __name__ == "__main__":
    main()
