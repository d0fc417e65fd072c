"""Whether an exception means that somebody holds what was wanted: a port, a database, a lock.

Decided by classes and error numbers. Libraries are recognised by the name of the exception's
class and its module, for none of them is imported here. Only where a library has one class for
all of its errors, and no number, its text decides; those are marked.
"""

import errno
from typing import Dict, Iterator, Set, Tuple

ADDRESS, LOCK, DATABASE, DEVICE = "an address", "a lock", "a database", "a device"

#: EAGAIN and EWOULDBLOCK: a lock that is not waited for (flock(2), fcntl(2))
NUMBERS = {errno.EADDRINUSE: ADDRESS, errno.EAGAIN: LOCK, errno.EWOULDBLOCK: LOCK,
           errno.EDEADLK: LOCK, errno.EBUSY: DEVICE, errno.ETXTBSY: LOCK}
#: result codes of SQLite: BUSY and LOCKED; extended codes have them in their last byte
SQLITE_CODES = (5, 6)

#: (first part of the module's name, class): what is held
CLASSES: Dict[Tuple[str, str], str] = {
    ("filelock", "Timeout"): LOCK,
    ("portalocker", "LockException"): LOCK,
    ("zc", "LockError"): LOCK,
    ("whoosh", "LockError"): LOCK,
    ("lmdb", "LockError"): DATABASE,
    ("pid", "PidFileAlreadyLockedError"): LOCK,
    ("pid", "PidFileAlreadyRunningError"): LOCK,
}
#: classes that stand for other errors too, which only the text distinguishes: what it contains
TEXTS: Dict[Tuple[str, str], Tuple[str, str]] = {
    ("duckdb", "IOException"): ("lock on file", DATABASE),
    ("_duckdb", "IOException"): ("lock on file", DATABASE),
    ("plyvel", "IOError"): ("lock", DATABASE),
    ("rocksdict", "DbError"): ("lock", DATABASE),
    # The codes are there since Python 3.11; before, SQLite has but its text.
    ("sqlite3", "OperationalError"): ("is locked", DATABASE),
}
MAX_CHAIN = 32


def held(exc: BaseException) -> str:
    """What somebody else holds, as in "an address"; "" if `exc`, what it was caused by and what
    it contains mean no such thing."""
    return next(filter(None, map(_held, _chain(exc))), "")


def _chain(exc: BaseException) -> Iterator[BaseException]:
    seen: Set[int] = set()
    waiting = [exc]
    while waiting and len(seen) < MAX_CHAIN:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        inner = getattr(found, "exceptions", ())  # of a group
        waiting += [other for other in (
            found.__cause__, found.__context__, getattr(found, "orig", None),  # SQLAlchemy's
            *(inner if isinstance(inner, (tuple, list)) else ()))
            if isinstance(other, BaseException)]


def _held(exc: BaseException) -> str:
    if isinstance(exc, OSError) and exc.errno in NUMBERS:
        return NUMBERS[exc.errno]
    code = getattr(exc, "sqlite_errorcode", None)
    if isinstance(code, int):
        return DATABASE if code & 0xff in SQLITE_CODES else ""
    for kind in type(exc).__mro__:
        name = (kind.__module__.partition(".")[0], kind.__name__)
        if name in CLASSES:
            return CLASSES[name]
        if name in TEXTS:
            words, what = TEXTS[name]
            return what if words in str(exc).lower() else ""
    return ""
