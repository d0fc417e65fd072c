"""Requests per second and CPU per request beside uvicorn, interleaved, as ratios.

    python tests/benchmarks/requests_per_second.py [ROUNDS]

The first rows of `table.py`, for a look before and after a change; it says what is needed.
"""

import os
import pathlib
import sys

TABLE = pathlib.Path(__file__).with_name("table.py")

if __name__ == "__main__":
    rounds = sys.argv[1] if len(sys.argv) > 1 else "3"
    os.execv(sys.executable, [sys.executable, str(TABLE), "--rounds", rounds, "--seconds", "3",
                              "hello", "browser"])
