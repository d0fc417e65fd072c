"""Threads and tasks that a request starts: what they do is its own, and they are not changed."""

import asyncio
import concurrent.futures
import gc
import logging
import sys
import threading
import traceback
from functools import partial, wraps

import pytest

from tests.support.serving import each_loop, run, serving, until
from tremolo.insight.insight import Insight
from tremolo.insight.record import running

KEYWORDS = {"self": 1, "function": 2, "record": 3, "arguments": 4, "named": 5}


def failing(text):
    raise OSError(text)


def watched(check, handle, loop_name=None):
    """Run `check(site, insight, raised)` where requests are answered by `handle(n)`, the number
    of each; `raised` are the exceptions that were told: number, text and where."""
    async def main():
        async def answer(exchange):
            await handle(int(exchange.head.target[1:]))
            exchange.response.respond(204, [])

        async with serving(answer) as site:
            insight, raised = Insight(logging.getLogger("tests")), []
            insight.is_project = __file__.__eq__
            insight.on_raised = lambda record, exc, where, status: raised.append(
                (record.path, str(exc), where, status))
            insight.serve(site.server)
            insight.watch(1)
            try:
                await check(site, insight, raised)
            finally:
                insight.watch(0)

    run(main, *([] if loop_name is None else [loop_name]))


async def ask(site, n):
    client = await site.connect()
    await client.send(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n)
    await client.line(b"\r\n\r\n")
    client.close()


def test_a_job_is_given_the_arguments_that_were_meant_for_it_by_whatever_names():
    jobs, pool = [], concurrent.futures.ThreadPoolExecutor(1)

    def job(*arguments, **named):
        return running.get(), arguments, named

    async def handle(n):
        future = pool.submit(job, n, **KEYWORDS)
        jobs.append((running.get(), await asyncio.wrap_future(future)))

    async def check(site, insight, raised):
        await ask(site, 7)
        [(record, job)] = jobs
        assert job == (record, (7,), KEYWORDS) and record is not None

    with pool:
        watched(check, handle)


@pytest.fixture
def hooked(monkeypatch):
    """What `threading.excepthook` is given: the text of each, and the functions of its frames."""
    found = []

    def hook(told):
        frames = traceback.extract_tb(told.exc_traceback)
        found.append((str(told.exc_value), [frame.name for frame in frames]))

    monkeypatch.setattr(threading, "excepthook", hook)
    return found


def decorated(function):
    """As a library's decorator has it."""
    scope = {"function": function}
    exec(compile("def wrapper(*arguments):\n    return function(*arguments)\n",
                 "site-packages/library.py", "exec"), scope)
    return wraps(function)(scope["wrapper"])


class Working(threading.Thread):
    def run(self):
        failing(self.name)


@pytest.mark.parametrize("make", [
    lambda text: threading.Thread(target=failing, args=(text,)),
    lambda text: threading.Timer(0.0, failing, (text,)),
    lambda text: Working(name=text),
    lambda text: threading.Thread(target=partial(partial(failing), text)),
    lambda text: threading.Thread(target=decorated(failing), args=(text,)),
], ids=["target", "timer", "subclass", "partial", "decorated"])
def test_what_a_thread_fails_over_is_told_of_its_request_and_to_others_as_without_us(
        make, hooked):
    async def handle(n):
        thread = make(f"thread {n}")
        thread.start()
        await asyncio.to_thread(thread.join)

    async def check(site, insight, raised):
        insight.watch(0)
        await ask(site, 1)
        assert raised == []
        insight.watch(1)
        await asyncio.gather(*(ask(site, n) for n in (2, 3)))
        assert sorted(raised) == [(f"/{n}", f"thread {n}", "thread", None) for n in (2, 3)]
        [before] = [frames for text, frames in hooked if text == "thread 1"]
        assert sorted(hooked) == [(f"thread {n}", before) for n in (1, 2, 3)]

    watched(check, handle)


def test_a_thread_that_has_run_is_as_it_was_and_not_left_to_the_garbage_collector():
    threads = []

    async def handle(n):
        thread = threading.Thread(target=lambda: None)
        names = set(vars(thread))
        thread.start()
        await asyncio.to_thread(thread.join)
        threads.append((set(vars(thread)) - names, sys.getrefcount(thread)))

    async def check(site, insight, raised):
        insight.watch(0)
        await ask(site, 1)
        insight.watch(1)
        await ask(site, 2)
        assert threads[0] == threads[1]

    watched(check, handle)


class Holding(Exception):
    """Refers to the task that raised it, so that both go with the garbage collector."""

    def __init__(self, text, task):
        super().__init__(text)
        self.task = task


@each_loop
def test_an_exception_that_nobody_fetched_belongs_to_the_request_that_started_its_task(
        loop_name):
    tasks = []

    async def handle(n):
        async def work():
            raise Holding(f"task {n}", asyncio.current_task())

        if n == 9:
            gc.collect()
            return
        tasks.append(asyncio.ensure_future(work()))
        await asyncio.sleep(0)

    async def check(site, insight, raised):
        loop = asyncio.get_running_loop()
        others = []

        def handler(loop, told):
            record = insight.failing_of(told)
            if record is None:
                others.append(str(told["exception"]))
            else:
                insight.raised(record, told["exception"], where="task")

        loop.set_exception_handler(handler)
        try:
            await asyncio.gather(*(ask(site, n) for n in range(3)))
            loop.call_soon(failing, "of no request")
            await until(lambda: others and all(task.done() for task in tasks))
            tasks.clear()
            await ask(site, 9)
            await until(lambda: len(raised) == 3)
        finally:
            loop.set_exception_handler(None)
        assert sorted(raised) == [(f"/{n}", f"task {n}", "task", None) for n in range(3)]
        assert others == ["of no request"]

    watched(check, handle, loop_name)
