"""Messages are built in one place, each by a function of its own."""

import pathlib
import re

import pytest

import tremolo
from tremolo.telemetry import builders
from tremolo.telemetry.codec import LineDecoder, encode

SOURCES = pathlib.Path(tremolo.__file__).parent
COMMAND = {"seq": 7, "name": "throttle"}
BUILT = [
    ("hello", builders.hello(app="shop:app", gen=3)),
    ("worker", builders.worker_event(4711, 3, 0, "exited", "SIGKILL", False, 0.5)),
    ("reload", builders.reload_event(4, 3, "ready", "change", ["shop.py"], ms=71.0)),
    ("assets", builders.assets_event(4, ["style.css"])),
    ("error", builders.error_event("startup", "StartupTimeout", "too long", gen=4)),
    ("log", builders.log_event("a line", "warning", pid=4711)),
    ("log", builders.left_out_event(1200, 7, 3)),
    ("insight", builders.insight_event(4711, 3, {"request": 5})),
    ("change", builders.change_event(4, "GET", "/items", (30, 14), True)),
    ("throttle", builders.throttle_event({"*": {"download": 1000.0}})),
    ("stats", builders.stats_event(3, {"requests": 5}, {"requests": 0.5}, {"p50": 1.0})),
    ("frame", builders.frame(4711, 3, 0, 9, 1.0, totals={"requests": 5})),
    ("command", builders.command(7, "detail", {"level": 1})),
    ("ack", builders.done(COMMAND, {})),
    ("ack", builders.refused(COMMAND, ValueError("no"))),
    ("start", builders.start(app={"target": "shop:app"}, gen=1)),
    ("launch", builders.launch({"target": "shop:app"}, "shop:app", {}, True, "/p", "/p")),
    ("listeners", builders.listeners([], "taken")),
    ("lend", builders.lend(1, [])),
    ("return", builders.take_back(1)),
    ("adopt", builders.adopt()),
    ("life", builders.life("ready", parts={"import": 5.0})),
    ("handover", builders.handover()),
    ("preload", builders.preload(1, names=["json"], now=True)),
    ("fork", builders.fork(1, standby=True)),
    ("retire", builders.retire()),
    ("forked", builders.forked(1, pid=4711)),
    ("exited", builders.exited(4711, 9)),
    ("spoiled", builders.spoiled({"name": "shop"}, "it wrote a file", "", True)),
    ("preloaded", builders.preloaded(1, 100, [], 0, 5.0)),
    ("refused", builders.cannot_begin("the port is taken")),
]


@pytest.mark.parametrize("kind, message", BUILT, ids=[f"{n}-{row[0]}" for n, row in
                                                      enumerate(BUILT)])
def test_each_builder_makes_a_message_that_arrives_as_it_was(kind, message):
    ((_, read),) = LineDecoder().feed(encode(message))
    assert read == message and read["kind"] == kind


def test_what_is_given_cannot_change_what_a_message_is():
    assert builders.start(kind="stop", v=9)["kind"] == "start"
    assert builders.hello(kind="bye", v=9)["v"] == builders.VERSION


def test_an_ack_has_the_number_of_its_command_and_a_bounded_reason():
    assert builders.done(COMMAND, 5)["seq"] == 7
    ack = builders.refused(COMMAND, "x" * 1000)
    assert (ack["seq"], ack["ok"], len(ack["error"])) == (7, False, 500)


def test_the_gap_has_a_line_of_its_own():
    event = builders.left_out_event(1200, 7, 3)
    assert event["left_out"] == 1200 and event["text"].startswith("1,200 lines left out here")
    assert (event["pid"], event["gen"]) == (7, 3)
    assert builders.left_out_event(1)["text"].startswith("1 line left out")


def test_no_message_is_written_by_hand():
    written = [f"{path.relative_to(SOURCES)}: {found}" for path in SOURCES.rglob("*.py")
               if path.name != "builders.py"
               for found in re.findall(r'.*"v": *(?:VERSION|1)\b.*', path.read_text("utf-8"))]
    assert not written, "\n".join(written)
