"""Stacks of other threads can be looked at without a danger to the process."""

import ast
import gc
import os
import pathlib
import subprocess
import sys

import tremolo
from tremolo.stacks import Undisturbed

PACKAGE = pathlib.Path(tremolo.__file__).parent

#: functions of many sizes call each other in threads; meanwhile somebody looks at their stacks
#: and leaves garbage, which lets the threads go on when it is collected. Python 3.11 crashes
BUSY = """
import gc, sys, threading, time
from tremolo.stacks import undisturbed

class Circle:
    def __init__(self):
        self.me = self

    def __del__(self):
        time.sleep(0.0005)

names = {"sleep": time.sleep}
for k in range(1, 30):
    variables = "; ".join(f"a{i} = {{}}" for i in range(k))
    next = f"f{k % 29 + 1}"
    exec(f"def f{k}(n):\\n {variables}\\n if n: return {next}(n - 1)\\n sleep(0.0002)", names)

def work():
    while True:
        for k in range(1, 30):
            names[f"f{k}"](k % 13 + 5)

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
gc.set_threshold(20)
end, looked = time.monotonic() + 3, 0
while time.monotonic() < end:
    for _ in range(10):
        Circle()
    with undisturbed:
        frames = sys._current_frames()
        del frames[threading.get_ident()]
        for frame in frames.values():
            while frame is not None:
                frame.f_code.co_name
                frame = frame.f_back
                looked += 1
print("looked" if looked else "saw nothing", flush=True)
"""


def test_stacks_of_busy_threads_are_looked_at_while_garbage_is_collected():
    done = subprocess.run(
        [sys.executable, "-c", BUSY], capture_output=True, text=True, timeout=60,
        env=dict(os.environ, PYTHONPATH=str(PACKAGE.parent)))
    assert (done.returncode, done.stdout) == (0, "looked\n"), done.stderr[-2000:]


def test_whoever_looks_at_other_threads_does_so_undisturbed():
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        counted = {id(call.args[0]) for call in ast.walk(tree) if isinstance(call, ast.Call)
                   and getattr(call.func, "id", "") == "len" and call.args}
        looks = [node for node in ast.walk(tree) if isinstance(node, ast.Call)
                 and getattr(node.func, "attr", "") == "_current_frames"
                 and id(node) not in counted]
        entered = [
            item for node in ast.walk(tree) if isinstance(node, ast.With)
            for item in node.items if getattr(item.context_expr, "id", "") == "undisturbed"]
        assert len(entered) >= len(looks), path


def test_the_garbage_collector_rests_where_it_must_and_is_left_as_it_was():
    was = gc.isenabled()
    try:
        for enabled in (True, False):
            (gc.enable if enabled else gc.disable)()
            with Undisturbed(needed=True):
                assert not gc.isenabled()
            assert gc.isenabled() == enabled
            with Undisturbed(needed=False):
                assert gc.isenabled() == enabled
    finally:
        (gc.enable if was else gc.disable)()
