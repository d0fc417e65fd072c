"""httpx: the requests that it sends, its own redirects within."""

import sys
from typing import Any, Tuple

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    calling = Calling(source, "http", _named, lambda response: response.status_code)
    httpx = sys.modules["httpx"]
    for client in (httpx.Client, httpx.AsyncClient):
        calling.observe(client, "send")


def _named(client: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    request = arguments[0] if arguments else keywords["request"]
    return str(getattr(request, "method", "")), str(getattr(request, "url", ""))
