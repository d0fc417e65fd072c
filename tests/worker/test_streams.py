"""Lines and log records of a worker: each once."""

import contextlib
import io
import logging
import logging.handlers
import os
import queue
import subprocess
import sys
import tempfile
import types

import pytest

from tremolo.worker.streams import Deferred, Records, Requests, Stream


class One(Requests):
    """A request runs."""

    def __init__(self):
        self.request = types.SimpleNamespace(id=7, partial={})

    def current(self):
        return self.request


@contextlib.contextmanager
def installed(sending=True):
    """Records in place of everything; what was sent, and the bytes that reached the stream."""
    sent = []
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is looked into after this
    inner = io.TextIOWrapper(file, encoding="utf-8", write_through=True)
    bytes_out = types.SimpleNamespace(getvalue=lambda: os.pread(file.fileno(), 65536, 0))
    records = Records(1, sent.append if sending else None)
    handler = Deferred(records)
    handler.stream = inner
    before = sys.stdout, sys.stderr, logging.Logger.callHandlers
    enqueue, handle = logging.handlers.QueueHandler.enqueue, logging.handlers.QueueListener.handle
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel("INFO")
    sys.stdout = sys.stderr = inner
    records.install()
    try:
        yield records, sent, bytes_out
    finally:
        sys.stdout, sys.stderr, logging.Logger.callHandlers = before
        logging.handlers.QueueHandler.enqueue = enqueue
        logging.handlers.QueueListener.handle = handle
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture
def logger():
    made = logging.getLogger("test.streams")
    yield made
    made.handlers.clear()
    made.propagate = True


def texts(sent):
    return [event["text"] for event in sent]


def test_a_record_without_another_handler_is_told_by_ours(logger):
    with installed() as (_, sent, out):
        logger.info("hello %d", 5)
    assert texts(sent) == ["hello 5"]
    assert (sent[0]["level"], sent[0]["name"]) == ("info", "test.streams")
    assert out.getvalue() == b""


@pytest.mark.parametrize("propagate", [True, False])
def test_a_record_that_the_application_prints_itself_is_told_once(logger, propagate):
    with installed() as (_, sent, out):
        logger.addHandler(logging.StreamHandler(sys.stderr))
        logger.propagate = propagate
        logger.warning("hello")
    assert texts(sent) == ["hello"]
    assert sent[0]["level"] == "warning"
    assert out.getvalue() == b""


def test_on_a_terminal_the_applications_own_handler_is_the_only_one(logger):
    with installed(sending=False) as (_, _, out):
        own = logging.StreamHandler(sys.stderr)
        own.setFormatter(logging.Formatter("own: %(message)s"))
        logger.addHandler(own)
        logger.warning("hello")
        logger.removeHandler(own)
        logger.warning("again")
    assert out.getvalue() == b"own: hello\nagain\n"


def test_a_handler_that_lets_nothing_through_does_not_silence_ours(logger):
    with installed(sending=False) as (_, _, out):
        own = logging.StreamHandler(sys.stderr)
        own.addFilter(lambda record: False)
        logger.addHandler(own)
        logger.warning("hello")
    assert out.getvalue() == b"hello\n"


def test_a_record_that_is_for_a_file_only_is_told_as_well(logger):
    with installed() as (_, sent, _):
        logger.addHandler(logging.StreamHandler(io.StringIO()))
        logger.warning("hello")
    assert texts(sent) == ["hello"]


@pytest.mark.parametrize("ours", [True, False])
def test_a_record_that_waits_in_a_queue_is_told_once_and_with_its_request(logger, ours):
    with installed() as (records, sent, out):
        waiting = queue.SimpleQueue()
        listener = logging.handlers.QueueListener(waiting, logging.StreamHandler(sys.stderr))
        logger.addHandler(logging.handlers.QueueHandler(waiting))
        logger.propagate = ours
        records.requests = One()
        logger.info("hello %d", 1)
        records.requests = Requests()
        listener.handle(waiting.get())
    assert texts(sent) == ["hello 1"]
    assert sent[0]["request"] == 7
    assert out.getvalue() == b""


def test_printed_lines_are_told_whole_with_their_request():
    with installed() as (records, sent, out):
        print("before")
        records.requests = One()
        print("a", end=" ")
        print("b")
        print("c\nd")
        records.requests = Requests()
        print("after")
    assert texts(sent) == ["a b", "c", "d"]
    assert {event["request"] for event in sent} == {7}
    assert out.getvalue() == b"before\nafter\n"


def test_what_has_no_line_end_is_told_at_the_end_of_its_request():
    with installed() as (records, sent, _):
        one = records.requests = One()
        print("unfinished", end="")
        assert sent == []
        records.flush(one.request)
        records.flush(one.request)
    assert texts(sent) == ["unfinished"]


def test_a_line_without_end_is_cut():
    with installed() as (records, sent, _):
        records.requests = One()
        for _ in range(20):
            print("x" * 1000, end="")
    assert sum(map(len, texts(sent))) > 16_000
    assert max(map(len, texts(sent))) < 10_000


def test_the_streams_are_still_what_libraries_expect():
    with installed():
        assert isinstance(sys.stdout, Stream) and isinstance(sys.stdout, io.TextIOBase)
        assert sys.stdout.encoding == "utf-8" and sys.stdout.writable()
        assert not sys.stdout.isatty()
        sys.stdout.buffer.write(b"")
        print("still open")


def test_a_record_that_cannot_be_formatted_harms_nobody(logger, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with installed() as (_, sent, _):
        logger.info("%d", "no number")
        logger.info("next")
    assert texts(sent) == ["next"]


def test_streams_of_a_file_that_lead_into_a_pipe_by_now_can_be_taken(tmp_path):
    program = ("import os, sys\n"
               "from tremolo.worker.streams import Deferred, Records\n"
               "ours, theirs = os.pipe()\n"
               "os.dup2(theirs, 1)\n"
               "Deferred(Records(1, print))._records.install()\n"
               "print('hello')\n"
               "sys.exit(os.read(ours, 10) != b'hello\\n')\n")
    with open(tmp_path / "out", "wb") as out:
        assert subprocess.run([sys.executable, "-c", program], stdout=out, timeout=30,
                              check=False).returncode == 0
