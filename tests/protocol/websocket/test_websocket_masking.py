"""Masking: RFC 6455 section 5.3, with what is compiled and without."""

import os
import random
import subprocess
import sys

import pytest

from tremolo.protocol.websocket.masking import apply_mask, compiled_mask, mask_in_python

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
LENGTHS = [*range(9), *range(125, 133), *range(255, 261), *range(2047, 2053), 4099]


@pytest.mark.parametrize("function", [apply_mask, mask_in_python])
@pytest.mark.parametrize("length", LENGTHS)
def test_each_byte_is_xored_with_the_mask_in_turn(function, length):
    source = random.Random(length)
    payload = bytes(source.randrange(256) for _ in range(length))
    mask = bytes(source.randrange(256) for _ in range(4))
    masked = function(payload, mask)
    assert masked == bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))
    assert function(bytes(masked), mask) == payload
    assert function(bytearray(payload), mask) == masked


def test_what_websockets_compiled_is_used():
    speedups = pytest.importorskip("websockets.speedups")
    assert compiled_mask().__doc__ == speedups.apply_mask.__doc__
    assert apply_mask is not mask_in_python


PRINT_THE_CHOICE = """
import sys
from tremolo.protocol.websocket.masking import apply_mask, mask_in_python
print(apply_mask is mask_in_python, "websockets" in sys.modules)
"""


@pytest.mark.parametrize("files", [
    {"websockets.py": "raise SystemExit('ran')"},
    {"websockets/__init__.py": "raise SystemExit('ran')"},
    {"websockets/__init__.py": "raise SystemExit('ran')",
     "websockets/speedups.py": "raise SystemExit('ran')"},
], ids=["module", "package", "package with speedups"])
def test_a_module_of_the_users_that_has_its_name_is_not_run(tmp_path, files):
    for name, source in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    done = subprocess.run([sys.executable, "-c", PRINT_THE_CHOICE], cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True)
    assert done.stdout == "True False\n", done.stderr


def test_a_function_that_masks_otherwise_is_not_used(monkeypatch):
    speedups = pytest.importorskip("websockets.speedups")
    monkeypatch.setattr("tremolo.protocol.websocket.masking.module_from_spec",
                        lambda spec: type(spec)("other", spec.loader))
    monkeypatch.setattr(type(speedups.__spec__.loader), "exec_module",
                        lambda self, module: setattr(module, "apply_mask", lambda *_: b""))
    assert compiled_mask() is None
