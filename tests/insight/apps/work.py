"""What the endpoints of all test applications do. Every text that they leave behind names the
number in the request's path, so that a fact at the wrong request can be told."""

import asyncio
import logging
import os
import sqlite3
import sys
import threading
import time
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


def many(n, execute=None, mark="?"):
    """One query and five more."""
    connection = None
    if execute is None:
        connection = sqlite3.connect(":memory:")
        execute = connection.execute
    rows = execute("select 0 union select 1 union select 2 union select 3 "
                   f"union select 4 -- request {n}").fetchall()
    found = [execute(f"select {mark} + 0 as request_{n}", row).fetchone()[0] for row in rows]
    if connection is not None:
        connection.close()
    return f"many {n} {found}"


def out(n):
    with urllib.request.urlopen(f"{OUT}/answer/{n}?token=secret") as answer:
        return f"out {n} {answer.status}"


async def out_async(n):
    return await asyncio.to_thread(out, n)


def said(text):
    sys.stderr.write(text + "\n")
