"""redis-py, of both kinds: the commands of clients, and pipelines as one; no values."""

import sys
from typing import Any, Tuple

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    commands, pipelines = Calling(source, "redis", _command), Calling(source, "redis", _pipeline)
    clients = (("redis.client", "Redis"), ("redis.asyncio.client", "Redis"))
    for module, name in clients:
        if module in sys.modules:
            commands.observe(getattr(sys.modules[module], name), "execute_command")
            pipelines.observe(sys.modules[module].Pipeline, "execute")


def _command(client: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    name = arguments[0] if arguments else ""
    return _text(name).upper(), _text(arguments[1]) if len(arguments) > 1 else ""


def _pipeline(pipeline: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    return "PIPELINE", ""


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
