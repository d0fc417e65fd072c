"""urllib: what is opened by URL."""

import sys
from typing import Any, Tuple

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    Calling(source, "http", _named,
            lambda response: getattr(response, "status", None) or "").observe(
        sys.modules["urllib.request"].OpenerDirector, "open")


def _named(opener: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    request = arguments[0] if arguments else keywords.get("fullurl", "")
    if isinstance(request, str):
        data = arguments[1] if len(arguments) > 1 else keywords.get("data")
        return "GET" if data is None else "POST", request
    return request.get_method(), request.full_url
