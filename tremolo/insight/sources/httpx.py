"""httpx: the requests that it sends, its own redirects within."""

import sys

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    calling = Calling(source, "http")
    httpx = sys.modules["httpx"]
    for client in (httpx.Client, httpx.AsyncClient):
        calling.observe(client, "send", lambda _, arguments, keywords: _named(
            arguments[0] if arguments else keywords["request"]),
            lambda response: response.status_code)


def _named(request: object) -> "tuple[str, str]":
    return str(getattr(request, "method", "")), str(getattr(request, "url", ""))
