"""What pages say of their consoles: whom we listen to, and what becomes of it."""

import json

import pytest

from tests.support.serving import run
from tests.worker.test_browser_pages import TOKEN, developing, page_app
from tremolo.worker.console import BURST, MAX_BODY, Console

TARGET = b"/__tremolo__/console?token=" + TOKEN.encode()
OWN = b"X-Tremolo: refresh\r\n"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Heard:
    def __init__(self):
        self.clock, self.lines = Clock(), []
        self.console = Console(self.clock, self.lines.append)

    def take(self, *lines, **more):
        message = {"page": "0000012.00000007", "generation": "abc-3", "path": "/shop",
                   "lines": [{"level": "error", "text": text} for text in lines], **more}
        return self.console.take(json.dumps(message).encode(), "127.0.0.1:5")


@pytest.fixture
def heard():
    return Heard()


def test_a_line_names_its_page_its_request_its_generation_and_its_client(heard):
    assert heard.take("broken")
    event = {"pid": 12, "request": 7, "gen": 3, "page": "/shop", "level": "error",
             "client": "127.0.0.1:5", "text": "broken", "kind": "log", "stream": "browser"}
    assert [event.items() <= line.items() for line in heard.lines] == [True]


def test_a_line_has_its_place_and_how_often_it_came(heard):
    assert heard.take(lines=[
        {"level": "warning", "text": "old", "place": "/a.js:3:4", "times": 5}])
    assert [(line["level"], line["text"]) for line in heard.lines] == [
        ("warning", "old (/a.js:3:4) (5 times)")]


def test_secrets_and_control_characters_do_not_pass(heard):
    heard.take("token=hunter2 \x1b[31mred")
    assert "hunter2" not in heard.lines[0]["text"] and "\x1b" not in heard.lines[0]["text"]


def test_more_than_a_burst_is_counted_and_told_with_the_next_line(heard):
    for number in range(int(BURST) + 20):
        heard.take(f"line {number}")
    assert len(heard.lines) == BURST
    heard.clock.now += 10
    heard.take("another")
    assert [line["text"] for line in heard.lines[-2:]] == [
        "20 more lines of browser pages came too fast", "another"]


def test_what_the_page_itself_left_out_is_told(heard):
    heard.take("line", left_out=7)
    assert heard.lines[0]["text"].startswith("7 more lines")


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'{"lines": 5, "page": "1.1"}', b'{"lines": [], "page": "x"}',
    b'{"lines": [], "page": "1.1.1"}', b"[" * 100_000])
def test_what_is_no_message_is_refused(heard, body):
    assert not heard.console.take(body, "")
    assert heard.lines == []


@pytest.mark.parametrize("lines", [
    [5, None, [], {}], [{"text": 5, "level": [], "place": {}, "times": "x"}],
    [{"text": "x", "times": 10 ** 100}]])
def test_lines_of_any_kind_harm_nobody(heard, lines):
    assert heard.take(lines=lines)
    assert all(line["level"] == "error" for line in heard.lines)


def ask(target=TARGET, fields=OWN, method=b"POST", body=b"{}"):
    async def main():
        async with developing(page_app(b"the app")) as site:
            site.browser.console = heard.console
            answer = await site.ask(
                target, b"%bContent-Length: %d\r\n\r\n%b" % (fields, len(body), body)
                if method == b"POST" else fields, method)
            return answer.status

    heard = Heard()
    return run(main), heard.lines


MESSAGE = b'{"page": "1.2", "path": "/", "lines": [{"level": "error", "text": "x"}]}'


def test_a_page_of_ours_is_heard():
    status, lines = ask(body=MESSAGE)
    assert status == 204 and [line["text"] for line in lines] == ["x"]


@pytest.mark.parametrize(("target", "fields"), [
    (b"/__tremolo__/console", OWN), (b"/__tremolo__/console?token=another", OWN), (TARGET, b""),
    (TARGET, OWN + b"Sec-Fetch-Site: cross-site\r\n"),
    (TARGET, OWN + b"Sec-Fetch-Site: same-site\r\n")])
def test_nobody_else_is(target, fields):
    status, lines = ask(target, fields, body=MESSAGE)
    assert status == 403 and lines == []


def test_it_takes_posts_only_and_none_that_is_too_long():
    assert ask(method=b"GET")[0] == 405
    assert ask(body=b" " * (MAX_BODY + 1))[0] == 413
    assert ask(body=b"{")[0] == 400
