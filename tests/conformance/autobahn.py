"""Runs the Autobahn|Testsuite's fuzzing client against Tremolo's WebSocket echoes.

    python -m tests.conformance.autobahn [--wstest COMMAND] [--native] [--cases 1.* 2.*]

Serves an ASGI echo (or, with --native, one of the native framework) on a free port, runs
`wstest` on it, prints a summary and exits with 1 unless every case is OK or INFORMATIONAL. See
README.md beside this file for where `wstest` comes from.
"""

import argparse
import asyncio
import collections
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import threading

from tremolo.config import Settings
from tremolo.net.server import Server

ACCEPTED = ("OK", "INFORMATIONAL")
CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*", "13.*"]
MESSAGE_LIMIT = 64 * 1024 * 1024  # section 9 sends up to 16 MiB


async def asgi_echo(scope, receive, send):
    if scope["type"] != "websocket":
        raise RuntimeError("this application has no lifespan")
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({**message, "type": "websocket.send"})


def make_adapter(native, settings):
    if not native:
        from tremolo.asgi.adapter import ASGIAdapter

        return ASGIAdapter(asgi_echo, settings)
    from tremolo.app.adapter import NativeAdapter
    from tremolo.app.application import Application

    app = Application()

    @app.route("/")
    async def echo(websocket=None):
        async for message in websocket:
            await websocket.send(message)

    return NativeAdapter(app, settings)


def serve(sock, native, ready):
    """Serve on `sock`, on a loop of this thread, until the process ends."""
    async def main():
        settings = Settings(ws_max_payload_size=MESSAGE_LIMIT)
        adapter = make_adapter(native, settings)
        server = Server(adapter, settings, loop=asyncio.get_running_loop())
        await adapter.startup()
        await server.start([sock])
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(main())


def run_wstest(command, folder, port, cases):
    """Run the fuzzing client; the index of its report."""
    spec = {"outdir": os.path.join(folder, "reports"), "cases": cases, "exclude-cases": [],
            "exclude-agent-cases": {},
            "servers": [{"agent": "Tremolo", "url": f"ws://127.0.0.1:{port}"}]}
    path = os.path.join(folder, "fuzzingclient.json")
    with open(path, "w") as file:
        json.dump(spec, file)
    with open(os.path.join(folder, "wstest.log"), "w") as log:
        subprocess.run([*command, "-m", "fuzzingclient", "-s", path], check=False,
                       stdout=log, stderr=subprocess.STDOUT)
    try:
        with open(os.path.join(folder, "reports", "index.json")) as file:
            return json.load(file)["Tremolo"]
    except FileNotFoundError:
        sys.exit(f"{shlex.join(command)} wrote no report; its output is in {folder}")


def summarize(results):
    """Print counts by section and each case that is not accepted; their number."""
    sections = collections.defaultdict(collections.Counter)
    failed = []
    for case, result in results.items():
        verdicts = {result["behavior"], result["behaviorClose"]}
        wrong = sorted(verdicts.difference(ACCEPTED))
        sections[int(case.split(".")[0])][wrong[0] if wrong else result["behavior"]] += 1
        if wrong:
            failed.append((case, wrong))
    for section in sorted(sections):
        counts = ", ".join(f"{count} {name}" for name, count in sorted(sections[section].items()))
        print(f"section {section:2}: {counts}")
    for case, wrong in sorted(failed):
        print(f"case {case}: {', '.join(wrong)}")
    print(f"{len(results)} cases, {len(failed)} not accepted")
    return len(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wstest", default=os.environ.get("WSTEST", "wstest"),
                        help="the command that starts wstest (default: $WSTEST, else wstest)")
    parser.add_argument("--native", action="store_true", help="test the native echo")
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--folder", help="where to leave the report (default: a new one)")
    options = parser.parse_args()
    folder = os.path.abspath(options.folder or tempfile.mkdtemp(prefix="autobahn-"))
    os.makedirs(folder, exist_ok=True)
    ready = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
        port = sock.getsockname()[1]
        threading.Thread(target=serve, args=(sock.dup(), options.native, ready),
                         daemon=True).start()
        if not ready.wait(10):
            sys.exit("the server did not start")
        results = run_wstest(shlex.split(options.wstest), folder, port, options.cases)
    print(f"report: {os.path.join(folder, 'reports', 'index.html')}")
    sys.exit(1 if summarize(results) else 0)


if __name__ == "__main__":
    main()
