"""How the cost of work grows with its input, whatever the machine and its load are."""

import sys
import time

SIZES = 2_000, 16_000
#: times that work is measured: PyPy compiles what has been run often
REPEATS = 5 if sys.implementation.name == "cpython" else 300


def calls_of(function, *args):
    """The number of calls, of Python's functions and of C's, that `function(*args)` makes."""
    count = 0

    def watch(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(watch)
    try:
        function(*args)
    finally:
        sys.setprofile(None)
    return count - 1  # sys.setprofile itself


def _processor_time(function):
    times = []
    for _ in range(REPEATS):
        began = time.thread_time()
        function()
        times.append(time.thread_time() - began)
    return min(times)


def assert_linear(work):
    """Check that `work(size)()` costs eight times as much for an input of eight times the size,
    and not sixty-four times. `work` makes the input, what it returns is measured.

    Regular expressions and methods of bytes are single calls, so that calls cannot be all that
    is counted: the time of the processor is compared with itself."""
    small, large = (work(size) for size in SIZES)
    growth = SIZES[1] / SIZES[0]
    assert calls_of(large) <= 1.2 * growth * calls_of(small) + 100
    first, second = _processor_time(small), _processor_time(large)
    assert second < 3 * growth * max(first, 2e-6), (first, second)
