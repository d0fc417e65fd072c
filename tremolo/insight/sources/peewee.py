"""peewee: the statements of all its databases."""

import sys

from ..source import Source
from ..statements import Observing, row_count


def attach(source: Source) -> None:
    Observing(source).method(sys.modules["peewee"].Database, "execute_sql", row_count,
                             of_result=True)
