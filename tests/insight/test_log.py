"""Log records and printed lines: each once, with the request that wrote it."""

import re

from tests.insight.conftest import KINDS, lines_of


def test_every_line_is_of_the_request_that_wrote_it(driven):
    numbers = {row["id"]: target for target, row in driven.rows.items()}
    for event in driven.find("log"):
        if event["name"] != "shop" and event["stream"] != "stdout":
            continue
        written = int(re.search(r"[0-9]+", event["text"])[0])
        assert "request" in event, event
        assert driven.targets[numbers[event["request"]]][1] == written, event


def test_no_line_is_lost_or_told_twice(driven):
    for kind in KINDS:
        texts = lines_of(driven.name, kind)
        for n, row in driven.rows_of(kind):
            told = sorted(event["text"] for event in driven.find("log", request=row["id"])
                          if event["name"] in ("shop", ""))
            assert told == sorted(text.format(n) for text in texts)


def test_what_a_frameworks_own_handler_prints_is_not_told_a_second_time(driven):
    for n, row in driven.rows_of("raise"):
        told = [event["text"].split("\n")[0]
                for event in driven.find("log", request=row["id"])]
        assert len(told) == len(set(told))
        raw = [event for event in driven.find("log")
               if event["stream"] == "stderr" and f"raise/{n}" in event["text"]]
        assert raw == []
