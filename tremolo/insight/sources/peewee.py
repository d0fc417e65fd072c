"""peewee: the statements of all its databases, and the ends of transactions."""

import sys
from typing import Any, List

from ..source import Source
from ..statements import Observing, row_count


def attach(source: Source) -> None:
    observing = Observing(source)
    database = sys.modules["peewee"].Database
    # Its asynchronous databases let others run, in a greenlet.
    observing.method(database, "execute_sql", row_count, of_result=True,
                     awaits=lambda database: True)
    # What begins and ends them are statements for the driver, which nobody has written.
    waiting: List[Any] = [database]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if "begin" in vars(kind):
            observing.covering(kind, "begin")
        for word in ("commit", "rollback"):
            if word in vars(kind):
                observing.ending(kind, word, word)
