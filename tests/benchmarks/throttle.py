"""What the throttle lets pass against what was wanted, beside nginx `limit_rate`.

    python tests/benchmarks/throttle.py [--quick] [--rates 10kB,1MB] [--kinds ...] [...]

Downloads are measured at the client's socket (small SO_RCVBUF, so that kernel buffers do not
hide the pace), uploads by what the server has read. Ten connections share one rate. `error`
is that of the average from the first byte on, `peak` the 95th percentile over all 100 ms
windows (and the most in any), both against the rate; `cpu` is the server's share of a core.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.throttle_client import (  # noqa: E402
    DOWNLOADS,
    KINDS,
    UPLOADS,
    Peer,
    open_transfers,
    received,
    sent,
)
from tremolo.units import format_rate, parse_rate  # noqa: E402

RATES = "10kB,100kB,1MB,10MB,50MB"
WINDOW = 0.1


def error_and_peak(events, rate, seconds):
    """Of (instant, bytes): error of the average, 95th percentile and most of the windows."""
    if not events:
        return -1.0, 0.0, 0.0
    begin = events[0][0]
    total = sum(size for at, size in events if at <= begin + seconds)
    peaks, steps = [], int((seconds - WINDOW) / 0.005)
    first = last = inside = 0
    for step in range(steps):
        start = begin + step * 0.005
        while last < len(events) and events[last][0] < start + WINDOW:
            inside += events[last][1]
            last += 1
        while first < last and events[first][0] < start:
            inside -= events[first][1]
            first += 1
        peaks.append(inside / (rate * WINDOW))
    peaks.sort()
    return total / (rate * seconds) - 1, peaks[int(len(peaks) * 0.95)], peaks[-1]


def transfer(peer, kind, rate, connections, seconds, skip=0.0):
    """Run `connections` transfers that share `rate`; (error, p95, peak, cpu). The first `skip`
    seconds, in which many connections begin one after the other, are left out."""
    time.sleep(0.3)  # from rest: the last transfer and its rate shall be forgotten
    if kind in UPLOADS:
        peer.ask("reads")
    with open_transfers(peer, kind, rate, connections) as sockets:
        before, began = peer.cpu(), time.monotonic()
        if kind in UPLOADS:
            sent(sockets, kind, rate, skip + seconds + 0.3)
            events = [tuple(item) for item in peer.ask("reads")]
        else:
            events = received(sockets, skip + seconds + 0.1)
        share = (peer.cpu() - before) / (time.monotonic() - began)
    if skip:
        events = [event for event in events if event[0] > events[0][0] + skip]
    return (*error_and_peak(events, rate, seconds), share)


def table(args):
    print(f"{'server':22}{'kind':17}{'conns':>5}  {'wanted':>12}  {'error':>8}"
          f"{'p95 peak':>10}{'most':>7}{'cpu':>7}")
    missed = Counter()
    for loop in args.loops:
        for tls in args.tls:
            name = f"tremolo {loop}{' tls' if tls else ''}"
            with Peer(loop, tls) as peer:
                for kind in args.kinds:
                    for connections in args.connections:
                        for rate in args.rates:
                            way = "up" if kind in UPLOADS else "down"
                            peer.ask("set", "all", f"{way}={rate:.0f}B")
                            found = [transfer(peer, kind, rate, connections, args.seconds)
                                     for _ in range(args.rounds)]
                            row(name, kind, connections, rate, found, missed)
    if args.nginx:
        for connections in args.connections:
            for rate in args.rates:
                with nginx(rate / connections) as peer:
                    found = [transfer(peer, "down-length", rate, connections, args.seconds)
                             for _ in range(args.rounds)]
                row("nginx limit_rate", "down-length", connections, rate, found, Counter())
    print(f"tremolo: {missed['rows']} rows, {missed['error']} with an average off by more "
          f"than 1 %, {missed['peak']} with a p95 peak above 1.3")


def row(name, kind, connections, rate, found, missed):
    error, p95, most, cpu = (statistics.median(column) for column in zip(*found))
    missed["rows"] += 1
    missed["error"] += abs(error) > 0.01
    missed["peak"] += p95 > 1.305
    mark = ("*" if abs(error) > 0.01 else "") + ("!" if p95 > 1.305 else "")
    print(f"{name:22}{kind:17}{connections:5}  {format_rate(rate):>12}  {error:+8.2%}"
          f"{p95:9.2f}x{most:6.2f}x{cpu:7.1%} {mark}", flush=True)


def latency(args):
    print("\nlatency: first byte after the request, less what was wanted; 15 requests each")
    for loop in args.loops:
        for tls in args.tls:
            with Peer(loop, tls) as peer, contextlib.closing(peer.connect()) as sock:
                for wanted in (5, 20, 150, 562.5):
                    peer.ask("set", "all", f"latency={wanted}ms")
                    over = sorted(1000 * peer.first_byte(sock) - wanted for _ in range(15))
                    print(f"  {loop:8}{'tls' if tls else 'plain':6} {wanted:6.1f} ms: "
                          f"median {over[7]:+.1f} ms, most {over[-1]:+.1f} ms", flush=True)


def changes(args):
    """How long after the command a running transfer follows: stop, go, and brake from
    unlimited to 1 MB/s (until the next 50 ms bring no more than twice the rate)."""
    print("\nchange of a running transfer: milliseconds from the command until it is followed,"
          "\nmedian (most) of 10")
    for loop in args.loops:
        for tls in args.tls:
            with Peer(loop, tls) as peer:
                for kind in ("down-length", "up-length", "ws-down", "ws-up"):
                    found = [change(peer, kind) for _ in range(10)]
                    columns = [f"{name} {statistics.median(values):5.1f} ({max(values):5.1f})"
                               for name, values in zip(("stop", "go", "brake"), zip(*found))]
                    print(f"  {loop:8}{'tls' if tls else 'plain':6}{kind:12} "
                          + "   ".join(columns), flush=True)


def change(peer, kind):
    rate, way = 1e6, "up" if kind in UPLOADS else "down"
    peer.ask("set", "all", f"{way}=5MB")
    with open_transfers(peer, kind, rate, 1) as sockets:
        def run(command):
            """Milliseconds after `command` of everything that passes in the next 0.3 s."""
            def give():
                marks.append(peer.ask("set", "all", command))
            marks = []
            if kind in UPLOADS:
                peer.ask("reads")
                sent(sockets, kind, rate, 0.5, give, 0.2)
                events = peer.ask("reads")
            else:
                events = received(sockets, 0.5, give, 0.2)
            return [(1000 * (at - marks[0]), size) for at, size in events if at > marks[0]]
        stopped = run("offline")
        going = run(f"{way}=5MB")
        peer.ask("set", "all", "off")
        braked = run(f"{way}=1MB")
    stop = stopped[-1][0] if stopped else 0.0
    go = going[0][0] if going else 1000.0
    brake = 0.0
    for at, _ in braked:
        if sum(size for other, size in braked if at <= other < at + 50) > 2 * rate * 0.05:
            brake = at
    return stop, go, brake


def thousand(args):
    print("\n1,000 connections at 10 kB/s each")
    for loop in args.loops:
        for kind in ("down-length", "up-length"):
            with Peer(loop, False) as peer:
                way = "up" if kind in UPLOADS else "down"
                peer.ask("set", "all", f"{way}=10kB per=connection")
                found = [transfer(peer, kind, 10e6, 1000, args.seconds, skip=1.0)
                         for _ in range(args.rounds)]
                error, p95, most, cpu = (statistics.median(column) for column in zip(*found))
                print(f"  {loop:8}{kind:12} error {error:+.2%}, p95 peak {p95:.2f}x, most "
                      f"{most:.2f}x, {cpu:.0%} of a core", flush=True)


def idle(args):
    print("\n500 idle connections: share of a core without and with a throttle in force")
    for loop in args.loops:
        with Peer(loop, False) as peer, contextlib.ExitStack() as stack:
            for _ in range(500):
                sock = stack.enter_context(contextlib.closing(peer.connect()))
                peer.first_byte(sock)
            shares = []
            for text in ("off", "slow-4g", "off", "slow-4g"):
                peer.ask("set", "all", text)
                before = peer.cpu()
                time.sleep(2)
                shares.append((peer.cpu() - before) / 2)
            print(f"  {loop:8} off {shares[0]:.1%} {shares[2]:.1%}, "
                  f"slow-4g {shares[1]:.1%} {shares[3]:.1%}")


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{ access_log off; sendfile on; tcp_nodelay on;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {folder}; limit_rate {rate:.0f}; }} }}
"""


class NginxPeer(Peer):
    """An nginx that was started; measured in the same way."""

    def __init__(self, process, port):
        self.process, self.port, self.tls = process, port, False


@contextlib.contextmanager
def nginx(rate):
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        with open(os.path.join(folder, "down-length"), "wb") as file:
            file.truncate(1 << 40)
        config = os.path.join(folder, "nginx.conf")
        pathlib.Path(config).write_text(NGINX.format(folder=folder, port=port, rate=rate))
        os.chmod(folder, 0o755)
        process = subprocess.Popen([shutil.which("nginx"), "-c", config, "-p", folder],
                                   stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                time.sleep(0.02)
            yield NginxPeer(process, port)
        finally:
            process.terminate()
            process.wait(10)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rates", default=RATES, help=f"default {RATES}")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {','.join(KINDS)}")
    parser.add_argument("--connections", default="1,10")
    parser.add_argument("--loops", default="asyncio,uvloop")
    parser.add_argument("--tls", default="no,yes")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1, help="medians of so many")
    parser.add_argument("--parts", default="table,latency,changes,thousand,idle")
    parser.add_argument("--no-nginx", action="store_true")
    parser.add_argument("--quick", action="store_true",
                        help="two rates, one connection, asyncio, plain, 2 s")
    args = parser.parse_args()
    if args.quick:
        args.rates, args.connections, args.loops, args.tls = "100kB,10MB", "1", "asyncio", "no"
        args.seconds = 2.0
    args.rates = [parse_rate(text) for text in args.rates.split(",")]
    args.kinds = args.kinds.split(",")
    args.connections = [int(text) for text in args.connections.split(",")]
    args.loops = args.loops.split(",")
    args.tls = [text == "yes" for text in args.tls.split(",")]
    args.nginx = (not args.no_nginx and shutil.which("nginx") is not None
                  and bool(DOWNLOADS & set(args.kinds)))
    return args


def main():
    args = arguments()
    parts = {"table": table, "latency": latency, "changes": changes, "thousand": thousand,
             "idle": idle}
    for part in args.parts.split(","):
        parts[part](args)


if __name__ == "__main__":
    main()
