"""Which audit events announce a write, on interpreters that tell different things."""

import os

import pytest

from tremolo.worker.imports import opens_to_write


@pytest.mark.parametrize("mode, flags, writes", [
    pytest.param("rb", os.O_RDONLY, False, id="reading"),
    pytest.param("r", 1, False, id="reading, as PyPy says it"),
    pytest.param("w", 1, True, id="writing, as PyPy says it"),
    pytest.param("ab", os.O_WRONLY | os.O_APPEND, True, id="appending"),
    pytest.param("r+", os.O_RDWR, True, id="both"),
    pytest.param("xb", os.O_WRONLY | os.O_CREAT, True, id="creating"),
    pytest.param(None, os.O_RDONLY | os.O_CLOEXEC, False, id="os.open, reading"),
    pytest.param(None, os.O_WRONLY | os.O_CREAT, True, id="os.open, writing"),
    pytest.param(None, None, False, id="nothing is said"),
])
def test_a_write_is_announced(mode, flags, writes):
    assert opens_to_write(mode, flags) is writes
