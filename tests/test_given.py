"""Command lines of `dev` and `run`: those that are read without argparse are read as by it."""

import random

import pytest

from tremolo.commands.arguments import make_parser
from tremolo.commands.given import parse, read_plain
from tremolo.config import OPTIONS
from tremolo.exceptions import ConfigurationError

TEXTS = {"int": "800", "float": "2.5", "mode": "660"}


def text_of(option):
    """A value that the option takes."""
    return option.choices[-1] if option.choices else (
        "error" if option.name == "log_level" else TEXTS.get(option.kind, "shop"))


def read_by_argparse(words):
    return vars(make_parser().parse_args(list(words)))


@pytest.mark.parametrize(("option", "flag"), [
    pytest.param(option, flag, id=flag) for option in OPTIONS for flag in option.flags])
def test_every_flag_is_read_as_by_argparse(option, flag):
    text = text_of(option)
    ways = [[flag]] if option.kind == "bool" else [[flag, text]]
    if option.kind != "bool" and flag.startswith("--"):
        ways.append([f"{flag}={text}"])
    for words in ways:
        for line in ([*words, "shop:app"], ["shop:app", *words], [*words, "shop:app", *words]):
            assert read_plain(line) == read_by_argparse(line)


def test_lines_of_many_words_are_read_as_by_argparse():
    chance = random.Random(1)
    flags = [(option, flag) for option in OPTIONS for flag in option.flags]
    for _ in range(30):
        line = []
        for option, flag in chance.choices(flags, k=12):
            line += [flag] if option.kind == "bool" else [flag, text_of(option)]
        line.insert(0, "shop:app")
        assert read_plain(line) == read_by_argparse(line)


@pytest.mark.parametrize("line", [
    [], [""], ["--throttle", "/api/*: slow-4g", "--throttle=down=1Mbit up=2Mbit", "shop:app"],
    ["--server-name=", "shop:app"], ["--server-name", "", "shop:app"], ["./shop.py"],
])
def test_unusual_values_are_read_as_by_argparse(line):
    assert read_plain(line) == read_by_argparse(line)


@pytest.mark.parametrize("line", [
    ["-p8000", "shop:app"], ["--workers", "-1", "shop:app"], ["--", "shop:app"],
    ["--no-reload", "shop:app"], ["shop:app", "more"], ["--port"], ["--prot", "1"], ["--plain=1"],
    ["--help"], ["-h"], ["--version"], ["-p=1"], ["--host", "--plain"], ["-"],
])
def test_what_is_not_plain_is_left_to_argparse(line):
    assert read_plain(line) is None


@pytest.mark.parametrize(("line", "given"), [
    (["-p8000", "shop:app"], {"app": "shop:app", "port": 8000}),
    (["--workers", "-1"], {"app": None, "worker_num": -1}),
    (["--no-reload", "shop:app"], {"app": "shop:app", "reload": False}),
])
def test_and_is_read_there(line, given):
    assert parse(line) == given


def test_a_wrong_value_names_its_option():
    with pytest.raises(ConfigurationError, match='Invalid --port value "x"'):
        parse(["--port", "x", "shop:app"])
