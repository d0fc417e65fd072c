"""urllib3, and with it requests: the requests that they send."""

import sys
from typing import Any, Tuple

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    Calling(source, "http", _named, lambda response: response.status).observe(
        sys.modules["urllib3.connectionpool"].HTTPConnectionPool, "urlopen")


def _named(pool: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    method = arguments[0] if arguments else keywords.get("method", "")
    url = arguments[1] if len(arguments) > 1 else keywords.get("url", "")
    if not url.startswith("/"):
        return method, url  # through a proxy it is whole
    port = "" if pool.port in (None, 80, 443) else f":{pool.port}"
    return method, f"{pool.scheme}://{pool.host}{port}{url}"
