"""The lines of plain mode."""

import pytest

from tremolo.supervisor.plain import reload_line


@pytest.mark.parametrize(("text", "then", "line"), [
    pytest.param("no module", "ends", "gen 2 failed: no module; the server ends", id="bare"),
    pytest.param("no module.", "ends", "gen 2 failed: no module; the server ends", id="stop"),
    pytest.param('Did you mean "a"?', "serves",
                 'gen 2 failed: Did you mean "a"? Gen 1 serves on', id="question"),
])
def test_what_follows_a_failure_follows_its_text_as_in_prose(text, then, line):
    assert reload_line({"gen": 2, "serving": 1, "state": "failed", "then": then, "error": {
        "type": "ConfigurationError", "text": text}}) == line
