"""The one context variable that names the exchange for which code runs.

Tasks, `to_thread` and the thread pools of frameworks copy it; `sources/threads.py` carries it
to where nobody does.
"""

from contextvars import ContextVar
from typing import Optional

from .record import Record

#: the record of the exchange that runs here; None outside of one, and while nobody watches
running: ContextVar[Optional[Record]] = ContextVar("tremolo_exchange", default=None)
