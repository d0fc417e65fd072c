"""Celery: the tasks that are put into its queues."""

import sys
from typing import Any, Tuple

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    Calling(source, "task").observe(sys.modules["celery.app.base"].Celery, "send_task", _named,
                                    lambda result: "queued")
    Calling(source, "task").observe(sys.modules["celery.app.task"].Task, "apply_async", _of_task,
                                    lambda result: "queued")


def _named(app: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    return "ENQUEUE", str(arguments[0] if arguments else keywords.get("name", ""))


def _of_task(task: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    return "ENQUEUE", str(task.name)
