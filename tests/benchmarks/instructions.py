"""Instructions that a request costs the server, counted: a busy machine gives the same figure.

    python tests/benchmarks/instructions.py [--before CHECKOUT] [--requests N]

Needs `valgrind`. Serves with the tree's own server below callgrind, asks it N and 2N times over
one connection, and prints the difference a request; with `--before`, beside an older checkout
(below 1: this tree needs fewer). Also of a watched server: for a request under so much load that
it is not looked into, and for one that is told with all that was in it. What the kernel does is
not counted. Takes some minutes.
"""

import argparse
import importlib.util
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.benchmarks.servers import BROWSER_HEAD, HELLO, ROOT

#: requests between two frames
A_TURN = 20
#: run in the checkout that is measured: prints its port, tells what it is to tell for each line
#: that it reads and answers that, and ends with its standard input
SERVE = f'''
import asyncio, gc, logging, sys
from tests.support import serving
from tremolo.insight.insight import Insight
from tremolo.net import ticker
from tremolo.net.recent import RECENT
from tremolo.telemetry.codec import encode
from tremolo.worker.sampler import Sampler
from hello import app

async def main():
    watched, loop = sys.argv[2], asyncio.get_running_loop()
    async with serving.serving_asgi(app) as site:
        server, insight = site.server, Insight(logging.getLogger("test"))
        insight.serve(server)
        sampler = Sampler(server, lambda frame: bool(encode(frame)), loop, insight=insight)
        if watched:
            sampler.set_detail(2)
            server.recent.renew(0, 1_000_000)
        print(site.port, flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            if watched == "told":
                sampler.sample(loop.time())
                server.recent.renew({A_TURN}, 0)
                server.recent.captures_left = {A_TURN}
            print("told", flush=True)

gc.collect()
gc.freeze()  # the one collection of all that was imported would hide hundreds of requests
logging.disable(logging.CRITICAL)
serving.DEADLINE = 300
ticker.INTERVAL = 1000  # its turns would count as many as the machine is slow
serving.run(main, sys.argv[1])
'''

BROWSER = "".join(field + "\r\n" for field in BROWSER_HEAD)
WORK = {
    "hello": ("", lambda number: ("/", "")),
    "browser-sized head": ("", lambda number: ("/", BROWSER)),
    "browser-sized head, each another": ("", lambda number: (f"/{number:06}", BROWSER)),
    "hello, watched under load": ("loaded", lambda number: ("/", "")),
    "hello, watched and told": ("told", lambda number: ("/", "")),
}


def instructions(tree, loop, watched, target, requests, folder):
    """How many the server executed from its start to its end, asked so many times."""
    server = subprocess.Popen(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out.%p", sys.executable,
         "-c", SERVE, loop, watched],
        cwd=tree, env={"PYTHONPATH": f"{tree}:{folder}", "PYTHONHASHSEED": "0",
                       "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline()
        if not port:
            raise SystemExit(f"the server did not start: {server.stderr.read()}")
        with socket.create_connection(("127.0.0.1", int(port))) as sock:
            for number in range(requests):
                if not number % A_TURN:
                    print(file=server.stdin, flush=True)
                    server.stdout.readline()
                path, more = target(number)
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
                if b" 200 " not in sock.recv(65536):
                    raise SystemExit("not answered with 200")
        _, errors = server.communicate(timeout=120)
    finally:
        server.kill()
        server.wait()
    found = re.search(r"Collected : (\d+)", errors)
    if not found:
        raise SystemExit(f"callgrind counted nothing: {errors}")
    return int(found.group(1))


def per_request(tree, loop, watched, target, requests, folder):
    once, twice = (instructions(tree, loop, watched, target, count, folder)
                   for count in (requests, 2 * requests))
    return (twice - once) / requests


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--before", type=pathlib.Path, metavar="CHECKOUT")
    parser.add_argument("--requests", type=int, default=200, metavar="N")
    options = parser.parse_args()
    if options.before and not (options.before / "tremolo").is_dir():
        parser.error(f"no checkout of Tremolo: {options.before}")
    loops = ["asyncio"] + ["uvloop"] * bool(importlib.util.find_spec("uvloop"))
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "hello.py").write_text(HELLO)
        for loop in loops:
            for name, (watched, target) in WORK.items():
                now = per_request(ROOT, loop, watched, target, options.requests, folder)
                line = f"{loop:8} {name:33} {now:9,.0f} instructions a request"
                if options.before:
                    older = per_request(options.before.resolve(), loop, watched, target,
                                        options.requests, folder)
                    line += f"   {now / older:.3f} of {older:,.0f}"
                print(line, flush=True)


if __name__ == "__main__":
    main()
