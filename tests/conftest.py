"""For all tests: assertions of the modules that support them are rewritten as those of tests are,
so that they explain themselves, and hold under `python -O`.

And what a run of thousands of tests would otherwise pay again and again: bytecode of rewritten
tests is kept even where Python shall write none, for to make it takes longer than all else of
collecting them, and so is that of what processes of tests import, which is large packages again
and again; and garbage is not looked for among what is there once tests are collected, and
stays."""

import gc
import os
import signal
import sys

import pytest

pytest.register_assert_rewrite(
    "tests.support", "tests.app", "tests.asgi", "tests.net", "tests.frameworks",
    "tests.protocol", "tests.worker")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a script: what tests start would ignore it as well, for good.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection():
    wanted, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    gc.disable()
    yield
    sys.dont_write_bytecode = wanted
    if hasattr(gc, "freeze"):  # PyPy has none
        gc.freeze()
    gc.enable()


@pytest.fixture
def loop_name():
    """Which loop `tests.support.serving` runs tests on; its marks say otherwise."""
    return "asyncio"
