"""What the watchdog says of the thread that made it."""

import importlib
import os
import sys
import threading
import time
import weakref

import pytest

from tremolo.worker.watchdog import Watchdog, stack_of

LIMIT = 10.0


def slow_start(during, before=lambda watchdog: None):
    """What was reported of a start while `during(reported)` ran; `before` comes before it."""
    found, reported = [], threading.Event()

    def slow(seconds, place):
        found.append(place)
        reported.set()

    def ignore(*_):
        pass

    watchdog = Watchdog(ignore, ignore, slow=slow, slow_after=0.15)
    before(watchdog)
    watchdog.start()
    try:
        during(reported)
    finally:
        watchdog.stop()
    return found


def spin(reported):
    deadline = time.monotonic() + LIMIT
    while not reported.is_set() and time.monotonic() < deadline:
        pass


def test_a_start_that_takes_long_is_reported_once_with_its_place_in_the_project():
    [place] = slow_start(spin)
    assert place.startswith("test_watchdog.py:") and place.endswith(" in spin")


def test_what_a_start_works_with_is_not_kept_because_it_was_slow():
    class Held:
        """Something large, say."""

    left = []

    def starting(reported):
        held = Held()
        spin(reported)
        left.append(weakref.ref(held))

    def during(reported):
        starting(reported)
        deadline = time.monotonic() + LIMIT
        while left[0]() is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert left[0]() is None

    assert len(slow_start(during)) == 1


@pytest.mark.parametrize("step", [Watchdog.started, Watchdog.rest])
def test_a_start_that_is_over_or_in_the_debugger_is_not_slow(step):
    assert slow_start(lambda reported: reported.wait(0.4), before=step) == []


def test_a_loop_that_a_library_blocks_is_placed_there_and_not_where_the_process_began():
    """Python was started with -c, which is nobody's file."""
    library = os.path.join(os.path.dirname(os.__file__), "slow.py")
    known = {"look": lambda: places.append(stack_of(sys._getframe(1))[0])}
    places, outer = [], {}
    exec(compile("def wait():\n    look()\n", library, "exec"), known)
    exec(compile("def begin(wait):\n    wait()\n", "<string>", "exec"), outer)
    thread = threading.Thread(target=outer["begin"], args=(known["wait"],))
    thread.start()
    thread.join()
    assert places == ["slow.py:2 in wait"]


def test_an_import_that_blocks_is_named_and_its_machinery_is_left_out(tmp_path, monkeypatch):
    """As a library imports another when it is first used: no frame is the project's."""
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "outer_of_two.py").write_text("import inner_of_two\n")
    (library / "inner_of_two.py").write_text("import sys\nsys.look_here(sys._getframe())\n")
    monkeypatch.syspath_prepend(str(library))
    found = []
    monkeypatch.setattr(sys, "look_here", lambda frame: found.append(stack_of(frame)),
                        raising=False)
    thread = threading.Thread(target=importlib.import_module, args=("outer_of_two",))
    thread.start()
    thread.join()
    place, stack = found[0]
    assert place == "the import of outer_of_two"
    assert "inner_of_two" in stack and "importlib._bootstrap" not in stack
