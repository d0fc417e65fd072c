"""Files of NAME=VALUE lines, read as the package python-dotenv reads them."""

import pytest

from tremolo.config import Settings
from tremolo.envfile import read_env_file, read_env_files
from tremolo.exceptions import ConfigurationError


@pytest.mark.parametrize(("text", "values"), [
    ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
    ("export A=1\n# no\n\n   # no\nB=2", {"A": "1", "B": "2"}),
    ("A=1 # said\nB=a#b\nC='x # y' # said\n", {"A": "1", "B": "a#b", "C": "x # y"}),
    ('A="one\\ntwo"\nB=\'one\\ntwo\'\n', {"A": "one\ntwo", "B": "one\\ntwo"}),
    ('KEY="-----BEGIN\nmiddle\nEND-----"\nB=1\n', {"KEY": "-----BEGIN\nmiddle\nEND-----",
                                                 "B": "1"}),
    ("A=\nB=''\n", {"A": "", "B": ""}),
    ("HOST=x\nURL=http://${HOST}/${NOT_THERE:-y}${NOR_THIS}\nRAW='${HOST}'\n",
     {"HOST": "x", "URL": "http://x/y", "RAW": "${HOST}"}),
    ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("A=a=b==\n", {"A": "a=b=="}),
])
def test_lines_are_read(tmp_path, text, values):
    path = tmp_path / "env"
    path.write_bytes(text.encode())
    assert read_env_file(str(path)) == values


@pytest.mark.parametrize(("text", "line"), [("A=1\nwhat is this\n", 2), ("=1\n", 1),
                                            ("A=1\nB=2\n3=4\n", 3)])
def test_what_is_no_line_is_named_with_its_number(tmp_path, text, line):
    path = tmp_path / "env"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=f":{line}: .* is not NAME=VALUE"):
        read_env_file(str(path))


def test_in_dev_the_nearest_file_wins_and_all_are_announced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".flaskenv").write_text("A=flask\nB=flask\nC=flask\nD=flask\n")
    (tmp_path / ".env").write_text("A=env\nB=env\nC=env\n")
    (tmp_path / ".env.local").write_text("A=local\nB=local\n")
    (tmp_path / "own").write_text("A=own\n")
    found = read_env_files(Settings(env_file="own"), dev=True)
    assert found.values == {"A": "own", "B": "local", "C": "env", "D": "flask"}
    [(text, level)] = found.notes
    assert text.startswith("loaded .env.local, .env and .flaskenv")
    assert level == "info"


@pytest.mark.parametrize(("settings", "dev"), [(Settings(dotenv=False), True),
                                               (Settings(), False)])
def test_they_are_not_loaded_where_they_are_not_wanted(tmp_path, monkeypatch, settings, dev):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("A=1\n")
    assert read_env_files(settings, dev) == ({}, ())


def test_a_wrong_line_in_the_projects_own_file_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("A=1\nwhat is this\nB=2\n")
    found = read_env_files(Settings(), dev=True)
    assert found.values == {"A": "1", "B": "2"}
    assert [level for _, level in found.notes] == ["info", "warning"]
