"""Which exceptions say that somebody else holds what was wanted."""

import errno
import fcntl
import socket
import sqlite3
import sys

import pytest

from tremolo.worker.held import held


def caught(function, *arguments):
    with pytest.raises(Exception) as found:
        function(*arguments)
    return found.value


def kind(module, name, base=Exception):
    return type(name, (base,), {"__module__": module})


def test_an_address_in_use_is_held():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert held(caught(socket.create_server, taken.getsockname())) == "an address"


def test_a_file_lock_is_held(tmp_path):
    with open(tmp_path / "lock", "w") as one, open(tmp_path / "lock", "w") as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        assert held(caught(fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)) == "a lock"


def test_a_locked_database_is_held(tmp_path):
    one, other = (sqlite3.connect(tmp_path / "shop.db", timeout=0) for _ in range(2))
    try:
        one.execute("BEGIN EXCLUSIVE")
        assert held(caught(other.execute, "BEGIN EXCLUSIVE")) == "a database"
        assert held(caught(one.execute, "SELECT * FROM nowhere")) == ""
    finally:
        one.close()
        other.close()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="SQLite has no error codes before")
def test_of_sqlite_the_code_decides_and_not_the_text():
    exc = sqlite3.OperationalError("the door is locked")
    exc.sqlite_errorcode = 1
    assert held(exc) == ""
    exc.sqlite_errorcode = 5 | 2 << 8  # SQLITE_BUSY_SNAPSHOT
    assert held(exc) == "a database"


@pytest.mark.parametrize(("exc", "what"), [
    pytest.param(kind("filelock._error", "Timeout", TimeoutError)(), "a lock", id="filelock"),
    pytest.param(kind("portalocker.exceptions", "AlreadyLocked", kind(
        "portalocker.exceptions", "LockException"))(), "a lock", id="subclass"),
    pytest.param(kind("duckdb.duckdb", "IOException")('Could not set lock on file "a.db"'),
                 "a database", id="duckdb"),
    pytest.param(kind("duckdb.duckdb", "IOException")("No space left"), "", id="duckdb-other"),
    pytest.param(kind("shop", "Timeout")(), "", id="of-the-application"),
    pytest.param(OSError(errno.ENOENT, "database is locked"), "", id="text-of-another-error"),
    pytest.param(RuntimeError("Address already in use"), "", id="only-text"),
    pytest.param(PermissionError(errno.EACCES, "no"), "", id="permission"),
])
def test_classes_and_numbers_decide(exc, what):
    assert held(exc) == what


def test_what_it_was_caused_by_counts():
    def wrapped():
        try:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        except BlockingIOError as exc:
            raise RuntimeError("the storage is used by another instance") from exc

    assert held(caught(wrapped)) == "a lock"
    outer = kind("sqlalchemy.exc", "OperationalError")("wrapped")
    outer.orig = OSError(errno.EADDRINUSE, "in use")
    assert held(outer) == "an address"
    group = kind("exceptiongroup", "ExceptionGroup")("several")
    group.exceptions = (KeyError("x"), OSError(errno.EADDRINUSE, "in use"))
    assert held(group) == "an address"


def test_a_chain_that_bites_its_tail_ends():
    one, other = KeyError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    assert held(one) == ""
