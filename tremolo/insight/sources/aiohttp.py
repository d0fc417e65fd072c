"""aiohttp's client: the requests that it sends, until the head of the response is there."""

import sys
from typing import Any, Tuple

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    Calling(source, "http", _named, lambda response: response.status).observe(
        sys.modules["aiohttp.client"].ClientSession, "_request")


def _named(session: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    method = arguments[0] if arguments else keywords.get("method", "")
    url = arguments[1] if len(arguments) > 1 else keywords.get("str_or_url", "")
    base = getattr(session, "_base_url", None)
    return str(method), str(url if base is None else base.join(type(base)(str(url))))
