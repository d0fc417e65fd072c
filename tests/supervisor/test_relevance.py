"""What a touched file means, as long as nothing was done about it."""

import pytest

from tremolo.supervisor.basis import Basis
from tremolo.supervisor.relevance import Relevance, shown_path

NOTHING = Basis({}, {})


@pytest.fixture
def env(tmp_path):
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    return path


def look(relevance, path):
    found = relevance.look([str(path)], NOTHING, broken=False)
    return "code" if found.code else "missing" if found.missing else "nothing"


def test_a_changed_env_file_calls_for_new_code_until_that_starts(env):
    relevance = Relevance(always=[str(env)])
    assert look(relevance, env) == "nothing"
    env.write_text("A=2\n")
    # The reload may be put off: what was looked at once has still to be reloaded for.
    assert [look(relevance, env), look(relevance, env)] == ["code", "code"]
    relevance.tried([str(env)])
    assert look(relevance, env) == "nothing"


def test_a_deleted_env_file_is_missing_until_code_starts_without_it(env):
    relevance = Relevance(always=[str(env)])
    env.unlink()
    assert [look(relevance, env), look(relevance, env)] == ["missing", "missing"]
    relevance.tried([str(env)])
    assert look(relevance, env) == "nothing"
    env.write_text("A=1\n")
    assert look(relevance, env) == "code"


def test_an_included_file_is_compared_with_what_code_last_started_with(tmp_path):
    relevance = Relevance(include=["*.yaml"])
    path = tmp_path / "conf.yaml"
    path.write_text("a: 1\n")
    assert look(relevance, path) == "code"
    relevance.tried([str(path)])
    assert look(relevance, path) == "nothing"
    path.unlink()
    assert look(relevance, path) == "missing"


@pytest.mark.parametrize(("path", "shown"), [
    ("/code/shop/main.py", "main.py"), ("/code/shop", "shop/"), ("/code/words.py",
                                                                  "/code/words.py"),
])
def test_a_path_is_shown_as_the_project_calls_it(path, shown):
    assert shown_path(path, "/code/shop") == shown
