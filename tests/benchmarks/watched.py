"""What being watched costs a worker: its processor time for a request, with a viewer and without.

    python tests/benchmarks/watched.py [ROUNDS [SECONDS [PYTHON]]]

Needs `wrk`. One and the same worker has the first core for itself; all else is on the last one:
the client, the rest of the server, the dashboard, and what reads its terminal. Windows of load
alternate between nobody who watches, a dashboard that is attached and draws, and a viewer that
asks for as much and throws it away, which shows how much of the dashboard's figure is but the
company of another process. Each window begins after a rest, as loads do. Quote the ratios.
"""

import contextlib
import operator
import os
import pathlib
import select
import socket
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.benchmarks.servers import (
    HELLO,
    ROOT,
    Server,
    answered,
    children,
    cpu_seconds,
    on_core,
    wait_for,
    wrk,
)
from tests.support.terminal import Terminal
from tremolo.telemetry.builders import command
from tremolo.telemetry.codec import encode

CONNECTIONS = 32
REST = 1.0  # seconds before each window
KINDS = ("nobody", "the dashboard", "a viewer that only reads")


def worker_below(pid, port):
    """The process of a server that serves: of all below it, the one that a load keeps busy. (The
    zygote, and a worker that stands by, came of the same fork.)"""
    before = {pid: cpu_seconds([pid]) for pid in children(pid)}
    wrk(port, CONNECTIONS, 1)
    spent = {pid: cpu_seconds([pid]) - before[pid] for pid in children(pid) if pid in before}
    worker = max(spent, key=spent.get)
    if spent[worker] < 0.1:
        raise SystemExit(f"none of the processes {spent} served")
    return worker


class Bench:
    """A server in `folder`, and viewers for it."""

    def __init__(self, folder, python):
        self._folder, self._python = folder, python
        runtime = pathlib.Path(folder, "runtime")
        runtime.mkdir(mode=0o700, exist_ok=True)
        os.environ.update(XDG_RUNTIME_DIR=str(runtime), XDG_STATE_HOME=str(folder))
        self._server = Server(["tremolo", "dev", "--plain", "--log-level", "ERROR", "hello:app"],
                              folder, python)
        self._control = runtime / "tremolo" / f"{self._server.port}.sock"

    def __enter__(self):
        wait_for(self._server.port)
        answered(self._server.port)
        self._worker = worker_below(self._server.process.pid, self._server.port)
        return self

    def __exit__(self, *_):
        self._server.stop()

    def _pin(self, viewer=None):
        """Give the worker the first core, and all else the last."""
        others = [*self._server.pids, os.getpid(), *([viewer] if viewer else [])]
        for pid in others:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(ProcessLookupError):
                    on_core(0 if pid == self._worker else -1)(int(task.name))

    def window(self, kind, seconds):
        """The worker's processor seconds for a request, and requests per second."""
        watching = {"nobody": contextlib.nullcontext, "the dashboard": self._dashboard,
                    "a viewer that only reads": self._reader}[kind]
        with watching() as viewer:
            self._pin(viewer)
            time.sleep(REST)
            before = cpu_seconds([self._worker])
            rate, count = wrk(self._server.port, CONNECTIONS, seconds)
            return (cpu_seconds([self._worker]) - before) / count, rate

    @contextlib.contextmanager
    def _dashboard(self):
        with Terminal([self._python, "-m", "tremolo", "attach", "--port",
                       str(self._server.port)], 160, 48,
                      cwd=self._folder, env={"PYTHONPATH": str(ROOT)}) as terminal:
            terminal.expect("hello:app", "all requests", within=30)
            with drained(terminal._fd, lambda fd: os.read(fd, 65536)):
                yield terminal.pid

    @contextlib.contextmanager
    def _reader(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self._control))
            sock.sendall(encode(command(1, "detail", {"level": 2})))
            with drained(sock.fileno(), lambda fd: sock.recv(1 << 20)):
                yield None


@contextlib.contextmanager
def drained(fd, read):
    """Throw away what comes: no emulator of a terminal shall take its share of the cores."""
    ended = threading.Event()

    def run():
        with contextlib.suppress(OSError):
            while not ended.is_set():
                if select.select([fd], [], [], 0.1)[0] and not read(fd):
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure(folder, python, rounds, seconds):
    """Print the medians of so many rounds of windows."""
    found = {kind: [] for kind in KINDS}
    with Bench(folder, python) as bench:
        for kind in KINDS:
            bench.window(kind, 1)  # imports, and what the dashboard compiles
        for number in range(rounds):
            for kind in KINDS if number % 2 else reversed(KINDS):
                found[kind].append(bench.window(kind, seconds))
    print(f"\nthe worker's CPU for a request, {rounds} windows of {seconds:g} s each, "
          f"after a rest of {REST:g} s", flush=True)
    alone = [cost for cost, _ in found[KINDS[0]]]
    for kind, windows in found.items():
        costs, rates = zip(*windows)
        line = (f"  {kind:26} {statistics.median(costs) * 1e6:7.1f} us   "
                f"{statistics.median(rates):7.0f} a second")
        if kind != KINDS[0]:
            low, middle, high = statistics.quantiles(map(operator.truediv, costs, alone), n=4)
            line += (f"   {middle:.3f} of {KINDS[0]} ({low:.3f} to {high:.3f}, the middle half; "
                     f"least by least {min(costs) / min(alone):.3f})")
        print(line, flush=True)


def main():
    rounds, seconds, python = (*sys.argv[1:], *("10", "2", sys.executable)[len(sys.argv) - 1:])
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "hello.py").write_text(HELLO)
        measure(folder, python, int(rounds), float(seconds))


if __name__ == "__main__":
    main()
