"""Django's databases: the statements of its cursors, and the ends of transactions."""

import sys
from operator import attrgetter

from ..source import Source
from ..statements import Observing

#: of the driver's cursor
_row_count = attrgetter("cursor.rowcount")


def attach(source: Source) -> None:
    observing = Observing(source)
    utils = sys.modules["django.db.backends.utils"]
    # In debug mode Django asks the database once more, for what it logs.
    for cursors in (utils.CursorWrapper, utils.CursorDebugWrapper):
        for name in ("execute", "executemany", "callproc"):
            if name in vars(cursors):
                observing.method(cursors, name, _row_count)
    base = sys.modules["django.db.backends.base.base"].BaseDatabaseWrapper
    observing.covering(base, "connect")
    for word in ("commit", "rollback"):
        observing.ending(base, word, word)
