"""Requests per second and CPU per request, interleaved, as ratios: beside uvicorn, or two trees.

    python tests/benchmarks/requests_per_second.py [ROUNDS] [--before CHECKOUT]

The first rows of `table.py`, which says what is needed; with `--before`, this tree beside an
older checkout of it, for a look before and after a change (above 1: this tree is better).
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.benchmarks.servers import BROWSER_HEAD, HELLO, TREMOLO, Server, wrk

TABLE = pathlib.Path(__file__).with_name("table.py")
WORK = (("hello, 32 connections", 32, ()), ("browser-sized head", 32, BROWSER_HEAD),
        ("hello, one connection", 1, ()))
LOOPS = ("asyncio", "uvloop")


def measured(server, connections, headers):
    """(requests per second, CPU seconds per request) of a server."""
    (rate, count), cpu = server.busy(lambda: wrk(server.port, connections, 2, headers))
    return rate, cpu / count


def compare(before, rounds):
    """Print, for each work and loop, what this tree does beside the other."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "hello.py").write_text(HELLO)
        for loop in LOOPS:
            command = [*TREMOLO, "--loop", loop, "hello:app"]
            with Server(command, folder) as ours, Server(command, folder, tree=before) as older:
                for name, connections, headers in WORK:
                    rates, costs = [], []
                    for turn in range(-1, rounds):
                        found = {server: measured(server, connections, headers)
                                 for server in ((ours, older) if turn % 2 else (older, ours))}
                        if turn < 0:  # the first of each is for warming up
                            continue
                        rates.append(found[ours][0] / found[older][0])
                        costs.append(found[older][1] / found[ours][1])
                    print(f"{name}, {loop}: {statistics.median(rates):.3f} x rate "
                          f"({min(rates):.2f} to {max(rates):.2f}), "
                          f"{statistics.median(costs):.3f} x per CPU second", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("--before", type=pathlib.Path, metavar="CHECKOUT")
    options = parser.parse_args()
    if options.before:
        if not (options.before / "tremolo").is_dir():
            parser.error(f"no checkout of Tremolo: {options.before}")
        compare(options.before.resolve(), options.rounds)
        return
    os.execv(sys.executable, [sys.executable, str(TABLE), "--rounds", str(options.rounds),
                              "--seconds", "3", "hello", "browser"])


if __name__ == "__main__":
    main()
