"""Requests per second and CPU per request beside uvicorn, interleaved, as ratios.

    python tests/benchmarks/requests_per_second.py [ROUNDS]

Needs `wrk` and uvicorn (with httptools, uvloop and h11). The servers get one core and wrk the
other, where there are two. Absolute figures depend on the machine: quote the ratios.
"""

import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONNECTIONS = 32
SECONDS = 3

APP = '''
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


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def commands(port):
    tremolo = [sys.executable, "-m", "tremolo", "--port", str(port), "--log-level", "ERROR"]
    uvicorn = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "error",
               "--no-access-log"]
    return {
        "tremolo asyncio": [*tremolo, "--loop", "asyncio", "hello:app"],
        "uvicorn h11 asyncio": [*uvicorn, "--http", "h11", "--loop", "asyncio", "hello:app"],
        "tremolo uvloop": [*tremolo, "--loop", "uvloop", "hello:app"],
        "uvicorn httptools uvloop": [*uvicorn, "--http", "httptools", "--loop", "uvloop",
                                     "hello:app"],
    }


def children(pid):
    found = [pid]
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += children(int(child))
    return found


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_for(port):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server did not start")


def measure(name, folder, headers):
    port = free_port()
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), folder]))
    cores = sorted(os.sched_getaffinity(0))
    server = subprocess.Popen(
        commands(port)[name], cwd=folder, env=env, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]))
    try:
        wait_for(port)
        pids = children(server.pid)
        before = cpu_seconds(pids)
        arguments = [item for header in headers for item in ("-H", header)]
        out = subprocess.run(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", *arguments,
             f"http://127.0.0.1:{port}/"],
            capture_output=True, text=True, check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores[-1:])).stdout
        spent = cpu_seconds(pids) - before
        total = int(re.search(r"(\d+) requests in", out).group(1))
        if "Non-2xx" in out or "Socket errors" in out:
            raise SystemExit(f"{name}: errors\n{out}")
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
        return rate, spent / total * 1e6
    finally:
        server.terminate()
        server.wait(10)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if shutil.which("wrk") is None:
        raise SystemExit("this needs wrk")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "hello.py").write_text(APP)
        for title, headers in (("hello", []), ("browser-sized head", BROWSER_HEAD)):
            found = {name: [] for name in commands(0)}
            for _ in range(rounds):
                for name, results in found.items():
                    results.append(measure(name, folder, headers))
            medians = {name: (statistics.median(rate for rate, _ in results),
                              statistics.median(cpu for _, cpu in results))
                       for name, results in found.items()}
            print(f"\n{title}: {rounds} interleaved rounds, {CONNECTIONS} connections, medians")
            for name, (rate, cpu) in medians.items():
                print(f"  {name:26} {rate:9.0f} req/s {cpu:7.1f} us CPU a request")
            for ours, theirs in (("tremolo asyncio", "uvicorn h11 asyncio"),
                                 ("tremolo uvloop", "uvicorn httptools uvloop"),
                                 ("tremolo asyncio", "uvicorn httptools uvloop")):
                rate = medians[ours][0] / medians[theirs][0]
                cpu = medians[theirs][1] / medians[ours][1]
                print(f"  {ours} : {theirs} = {rate:.2f} x req/s, {cpu:.2f} x per CPU second")


if __name__ == "__main__":
    main()
