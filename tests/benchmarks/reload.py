"""Save to new response, failures under load, broken saves and what is in flight, by server.

    python tests/benchmarks/reload.py [--saves 20] [--loaded 10] [--streams 100]
        [--servers tremolo,uvicorn,granian,hypercorn,django] [--projects small,heavy,django]

All servers run at once and are saved to in turn, so that they meet the same machine. `save`
is the time from the end of the save to the first response of the new code, on new
connections; `failed` are requests at 200 a second, half of them on kept connections, during
further saves; `broken` is how many of 20 requests are answered while the file holds a syntax
error; `in flight` are a running request, event streams and WebSockets at a save. `django` as a
server is its own `runserver`, for projects of Django alone.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.reload_client import (  # noqa: E402
    Load,
    Project,
    Streams,
    one,
    tally,
    until_new,
)

COMMANDS = {
    "tremolo": ["-m", "tremolo", "dev", "shop:app", "--plain", "--log-level", "WARNING",
                "--port", "{port}"],
    "uvicorn": ["-m", "uvicorn", "--reload", "shop:app", "--no-access-log", "--log-level",
                "warning", "--port", "{port}"],
    "granian": ["-m", "granian", "--reload", "--interface", "asgi", "shop:app", "--host",
                "127.0.0.1", "--port", "{port}"],
    "hypercorn": ["-m", "hypercorn", "--reload", "shop:app", "--bind", "127.0.0.1:{port}"],
    "django": ["manage.py", "runserver", "127.0.0.1:{port}"],
}
PAUSE = 0.6  # between two saves: the old code leaves, and modules are loaded ahead


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """One server with its project."""

    def __init__(self, name, kind, folder):
        self.name = name
        self.port = free_port()
        self.project = Project(folder, kind)
        self.version = 0
        self.times = []
        self.results = {}
        self._log = open(folder / "log.txt", "wb")  # noqa: SIM115 - open as long as it runs
        environ = dict(os.environ, PYTHONPATH=str(ROOT), XDG_RUNTIME_DIR=str(folder),
                       XDG_CACHE_HOME=str(folder))
        arguments = [part.format(port=self.port) for part in COMMANDS[name]]
        self.process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environ, stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=self._log, start_new_session=True)

    async def save(self, limit=10.0):
        """Save a new version; milliseconds to its first response, None if it never comes."""
        self.version += 1
        if self.process.poll() is not None:
            limit = 0.0  # it has ended
        began = self.project.save(str(self.version))
        passed = await until_new(self.port, str(self.version), began, limit)
        return None if passed is None else passed * 1000

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)  # what it left behind is of the same session
        self._log.close()


async def measure_saves(servers, count):
    """Saves to all servers in turn, with nothing else going on."""
    for _ in range(count):
        for server in servers:
            server.times.append(await server.save())
        await asyncio.sleep(PAUSE)


async def measure_load(server, count):
    """Saves under load: what failed, and the slowest answer."""
    load = Load(server.port)
    running = asyncio.ensure_future(load.run())
    await asyncio.sleep(0.3)
    times = []
    for _ in range(count):
        times.append(await server.save())
        if times[-1] is None:
            break
        await asyncio.sleep(PAUSE)
    load.stop()
    await running
    failed = ", ".join(f"{n} {what}" for what, n in sorted(load.failures.items())) or "0"
    server.results["loaded"] = times
    server.results["failed"] = f"{failed} of {load.sent}"
    server.results["slowest"] = load.slowest * 1000


async def measure_broken(server):
    """A syntax error: who is answered meanwhile, and how long the repair takes."""
    server.project.save(None)
    await asyncio.sleep(0.3)
    answers = [await one(server.port, timeout=0.2) for _ in range(20)]
    good = sum(isinstance(answer, tuple) and answer[0] == 200 for answer in answers)
    server.results["broken"] = f"{good}/20"
    server.results["repair"] = await server.save()
    await asyncio.sleep(PAUSE)


async def measure_in_flight(server, count):
    """A save while a request runs and streams are open."""
    streams = Streams(server.port)
    try:
        await streams.open(count)
    except (OSError, EOFError, asyncio.TimeoutError) as exc:
        server.results["streams"] = f"not opened ({type(exc).__name__})"
    running = asyncio.ensure_future(one(server.port, "/slow"))
    await asyncio.sleep(0.1)
    before = str(server.version).encode()
    server.results["in flight"] = await server.save(limit=8.0)
    answer = await running
    kept = isinstance(answer, tuple) and answer == (200, before)
    await streams.ended(3.0)
    server.results["running"] = "finished" if kept else "lost"
    server.results.setdefault("streams", f"SSE {tally(streams.sse_ends, count)}; "
                                         f"WS {tally(streams.ws_ends, count)}")


def percentile(times, share):
    found = sorted(float("inf") if t is None else t for t in times)
    return found[min(len(found) - 1, int(len(found) * share))] if found else float("nan")


def shown(ms):
    return "never" if ms is None or ms == float("inf") else f"{ms:.0f}"


def report(kind, servers):
    rows = [("server", "save p50", "p95", "loaded p50", "p95", "failed requests", "slowest",
             "broken", "repair", "running", "in flight", "streams")]
    for server in servers:
        results = server.results
        loaded = results.get("loaded", [])
        rows.append((
            server.name,
            shown(statistics.median(float("inf") if t is None else t for t in server.times)),
            shown(percentile(server.times, 0.95)), shown(percentile(loaded, 0.5)),
            shown(percentile(loaded, 0.95)), results["failed"], shown(results["slowest"]),
            results["broken"], shown(results["repair"]), results["running"],
            shown(results["in flight"]), results["streams"]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{kind} application, milliseconds")
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    sys.stdout.flush()


async def measure(kind, names, options):
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        servers = []
        for name in names:
            if name == "django" != kind:
                continue
            own = pathlib.Path(folder, name)
            own.mkdir(mode=0o700)
            servers.append(Running(name, kind, own))
            stack.callback(servers[-1].close)
        for server in list(servers):
            if await until_new(server.port, "0", time.perf_counter(), 30.0) is None:
                print(f"{server.name} did not start", file=sys.stderr)
                servers.remove(server)
        await asyncio.sleep(1.0)
        measured = []
        try:
            await measure_saves(servers, options.saves)
            for server in servers:
                await measure_load(server, options.loaded)
                await measure_broken(server)
                await measure_in_flight(server, options.streams)
                measured.append(server)
        finally:
            report(kind, measured)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saves", type=int, default=20)
    parser.add_argument("--loaded", type=int, default=10, help="saves under load")
    parser.add_argument("--streams", type=int, default=100, help="event streams, WebSockets")
    parser.add_argument("--servers", default=",".join(COMMANDS))
    parser.add_argument("--projects", default="small,heavy,django")
    options = parser.parse_args()
    names = [name for name in options.servers.split(",") if importlib.util.find_spec(name)]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load "
          f"{os.getloadavg()[0]:.1f}; {options.saves} saves, {options.loaded} under load")
    for kind in options.projects.split(","):
        asyncio.run(measure(kind, names, options))


if __name__ == "__main__":
    main()
