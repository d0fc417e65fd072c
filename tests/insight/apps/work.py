"""What the endpoints of all test applications do. Every text that they leave behind names the
number in the request's path, so that a fact at the wrong request can be told."""

import asyncio
import gc
import json
import logging
import os
import sqlite3
import sys
import threading
import time
import types
import urllib.request

log = logging.getLogger("shop")
OUT = os.environ.get("OUT", "")


class Broken(Exception):
    pass


def ok(n):
    log.info("ok %d begins", n)
    print("printed ", end="")
    time.sleep(0.001)
    print(n)
    log.info("ok %d ends", n)
    return f"ok {n}"


async def ok_async(n):
    log.info("ok %d begins", n)
    print("printed ", end="")
    await asyncio.sleep(0.001 * (n % 5))
    print(n)
    log.info("ok %d ends", n)
    return f"ok {n}"


def fail(n):
    password = "hunter2"
    number = n
    try:
        {}["key"]
    except KeyError as exc:
        raise Broken(f"broken {number}", len(password)) from exc


def threaded(n):
    def inner():
        log.info("thread %d", n)
        print(f"in thread {n}")

    thread = threading.Thread(target=inner)
    thread.start()
    thread.join()
    return f"thread {n}"


async def threaded_async(n):
    def pooled():
        log.info("pool %d", n)

    threaded(n)
    await asyncio.to_thread(pooled)
    await asyncio.get_running_loop().run_in_executor(None, pooled)
    await asyncio.get_running_loop().create_task(logged("task", n))
    return f"thread {n}"


async def logged(what, n):
    await asyncio.sleep(0.001)
    log.info("%s %d", what, n)


def later(n):
    time.sleep(0.01)
    log.info("later %d", n)


async def later_async(n):
    await asyncio.sleep(0.01)
    log.info("later %d", n)


FIRST = "select 0 union select 1 union select 2 union select 3 union select 4 -- request {}"


def many(n, execute=None, mark="?"):
    """One query and five more."""
    connection = None
    if execute is None:
        connection = sqlite3.connect(":memory:")
        execute = connection.execute
    rows = [tuple(row) for row in execute(FIRST.format(n)).fetchall()]
    found = [execute(f"select {mark} + 0 as request_{n}", row).fetchone()[0] for row in rows]
    if connection is not None:
        connection.close()
    return f"many {n} {found}"


async def many_async(n, fetch):
    """The same, by a coroutine that brings all rows."""
    rows = [tuple(row) for row in await fetch(FIRST.format(n))]
    found = []
    for row in rows:
        [[value]] = await fetch(f"select ? + 0 as request_{n}", row)
        found.append(value)
    return f"many {n} {found}"


async def many_aiosqlite(n):
    import aiosqlite

    async with aiosqlite.connect(":memory:") as connection:
        return await many_async(n, connection.execute_fetchall)


def noted(n):
    """Called by templates."""
    log.info("template %d", int(n))
    return int(n) + 1


def template(n):
    import jinja2

    source = jinja2.Environment().from_string(TEMPLATE)
    return source.render(n=n, noted=noted)


TEMPLATE = "<p>template {{ n }} {{ noted(n) }}</p>"


def hooks():
    """What was put into this process to look into requests, and is still there."""
    found = functions_in_force()
    if found:  # perhaps only as garbage
        gc.collect()
        found = functions_in_force()
    return json.dumps(sorted(found))


def functions_in_force():
    """Finders of ours, and functions that hold on to something, such as what they replaced; the
    class that a method's `super()` needs is nothing of that kind, nor what Python 3.14 has for
    annotations."""
    own = os.sep + os.path.join("tremolo", "insight") + os.sep
    found = [type(each).__name__ for each in sys.meta_path if type(each).__name__ == "Arrivals"]
    for each in gc.get_objects():
        if type(each) is types.FunctionType and each.__closure__ and (
                own in each.__code__.co_filename
                and each.__code__.co_freevars != ("__class__",)
                and each.__name__ != "__annotate__"):
            found.append(each.__qualname__)
    return found


def out_url(n):
    return f"{OUT}/answer/{n}?token=secret"


def out(n):
    with urllib.request.urlopen(out_url(n)) as answer:
        return f"out {n} {answer.status}"


async def out_async(n):
    return await asyncio.to_thread(out, n)
