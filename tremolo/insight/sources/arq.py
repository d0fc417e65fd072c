"""arq: the jobs that are put into its queue."""

import sys
from typing import Any, Tuple

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    Calling(source, "task", _named,
            lambda job: "is there already" if job is None else "queued").observe(
        sys.modules["arq.connections"].ArqRedis, "enqueue_job")


def _named(client: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    return "ENQUEUE", str(arguments[0] if arguments else keywords.get("function", ""))
