"""Servers under load: started beside each other, asked in turns, their CPU read from the system.

What the scripts of this folder share. The servers get the first core and the client the last.
"""

import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

ROOT = pathlib.Path(__file__).resolve().parents[2]

HELLO = '''
HEADERS = [(b"content-type", b"text/plain")]
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"Hello world!"})
'''

BROWSER_HEAD = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.7,de;q=0.3", "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://127.0.0.1/", "Cookie: session=0123456789abcdef; theme=dark",
    "Upgrade-Insecure-Requests: 1", "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin", "Sec-Fetch-User: ?1", "Priority: u=0, i", "DNT: 1",
    "Pragma: no-cache",
]

TREMOLO = ["tremolo", "--log-level", "ERROR"]
UVICORN = ["uvicorn", "--log-level", "error", "--no-access-log"]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def children(pid):
    """A process and all below it."""
    found = [pid]
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += children(int(child))
    return found


def cpu_seconds(pids):
    """Processor seconds that the threads of the processes have used: to the nanosecond, where
    the ticks of /proc/PID/stat are too coarse for a second of load."""
    return sum(int(path.read_text().split()[0]) for pid in pids
               for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def proportional_bytes(pids):
    """Resident bytes of the processes, what they share divided among those that share it."""
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE).group(1)) * 1024
    return total


def wait_for(port, within=15.0):
    """Return when somebody listens on the port."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server did not start")


def answered(port, within=30.0):
    """Return when a server that listens has answered, whatever it says."""
    with socket.create_connection(("127.0.0.1", port), within) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        sock.recv(1)


def on_core(index):
    """For `preexec_fn`: run on the first (0) or the last (-1) core. Also for another process."""
    cores = sorted(os.sched_getaffinity(0))
    return lambda pid=0: os.sched_setaffinity(pid, [cores[index]])


@contextmanager
def awake():
    """Keep the first and the last core from sleeping, by what runs only where nothing else does:
    to wake a core up can take longer than a request, and who writes head and body one after the
    other has the client's woken by the first."""
    code = ("import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
            "while True:\n    pass")
    idlers = [subprocess.Popen([sys.executable, "-c", code], preexec_fn=on_core(index))
              for index in (0, -1)]
    try:
        yield
    finally:
        for idler in idlers:
            idler.kill()
            idler.wait()


class Server:
    """`python -m` with `arguments` on a free port, until `stop()`; `tree` is the checkout."""

    def __init__(self, arguments, folder, python=sys.executable, path=(), tree=ROOT):
        self.port = free_port()
        env = dict(os.environ, PYTHONPATH=os.pathsep.join([*path, str(tree), str(folder)]))
        # Who compiles the sources at each start needs more time and memory than those who do not.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = subprocess.Popen(
            [python, "-m", *arguments, "--port", str(self.port)], cwd=folder, env=env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=on_core(0))

    def __enter__(self):
        wait_for(self.port)
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pids(self):
        return children(self.process.pid)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def busy(self, work):
        """What `work()` gives, with the processor seconds that the server needed for it."""
        pids = self.pids
        before = cpu_seconds(pids)
        result = work()
        return result, cpu_seconds(pids) - before


def wrk(port, connections, seconds, headers=()):
    """Load a server; requests per second, and how many requests there were."""
    arguments = [item for header in headers for item in ("-H", header)]
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", *arguments,
         f"http://127.0.0.1:{port}/"],
        capture_output=True, text=True, check=True, preexec_fn=on_core(-1)).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"errors under load:\n{out}")
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
            int(re.search(r"(\d+) requests in", out).group(1)))


def medians(rounds):
    """The median of each column of the rows."""
    return [statistics.median(column) for column in zip(*rounds)]
