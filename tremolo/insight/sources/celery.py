"""Celery: the tasks that are put into its queues, or run at once instead."""

import sys
from typing import Any, Callable, Tuple

from ..calls import Calling, covered
from ..source import Source


def attach(source: Source) -> None:
    task = sys.modules["celery.app.task"].Task
    Calling(source, "task", _named, _status).observe(
        sys.modules["celery.app.base"].Celery, "send_task")
    Calling(source, "task", _of_task, _status).observe(task, "apply_async")
    source.replace(task, "apply", _apart)


def _apart(apply: Callable[..., Any]) -> Callable[..., Any]:
    """`apply`, which runs a task here: its calls are no part of putting it into a queue."""
    def observed(*arguments: Any, **keywords: Any) -> Any:
        __traceback_hide__ = True
        before = covered.get()
        covered.set(False)
        try:
            return apply(*arguments, **keywords)
        finally:
            covered.set(before)
    return observed


def _status(result: Any) -> str:
    return "run at once" if type(result).__name__ == "EagerResult" else "queued"


def _named(app: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    return "ENQUEUE", str(arguments[0] if arguments else keywords.get("name", ""))


def _of_task(task: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    return "ENQUEUE", str(task.name)
