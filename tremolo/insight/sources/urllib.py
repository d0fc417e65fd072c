"""urllib: what is opened by URL."""

import sys
from typing import Any, Tuple, Type

from ..calls import Calling, Running
from ..source import Source


def attach(source: Source) -> None:
    Calling(source, "http", _named,
            lambda response: getattr(response, "status", None) or "", running=_Opening).observe(
        sys.modules["urllib.request"].OpenerDirector, "open")


class _Opening(Running):
    """Raises an answer that is none of success."""

    def failure(self, kind: Type[BaseException], exc: Any) -> str:
        code = getattr(exc, "code", None)
        return str(code) if isinstance(code, int) else super().failure(kind, exc)


def _named(opener: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    request = arguments[0] if arguments else keywords.get("fullurl", "")
    if isinstance(request, str):
        data = arguments[1] if len(arguments) > 1 else keywords.get("data")
        return "GET" if data is None else "POST", request
    return request.get_method(), request.full_url
