"""What the dashboard costs the server: throughput with it drawing, stopped, and absent.

    python tests/benchmarks/dashboard.py [ROUNDS]

Needs `wrk` and pyte. Windows of load alternate between a running and a stopped (SIGSTOP)
dashboard on the same server, and the plain server of `tremolo run`. Quote the ratios.
"""

import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.benchmarks.servers import HELLO, ROOT, free_port, wait_for, wrk
from tests.support.terminal import Terminal

SECONDS = 10
CONNECTIONS = 32


def drawn(terminal, port, seconds=SECONDS):
    """A window of load while the terminal is read, as a terminal does: requests per second,
    and their number."""
    result = []
    thread = threading.Thread(target=lambda: result.append(wrk(port, CONNECTIONS, seconds)))
    thread.start()
    while thread.is_alive():
        terminal.read(0.1)
    return result[0]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
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


if __name__ == "__main__":
    main()
