"""Error pages, and which exception stands for a status.

Knows exceptions and HTML; knows no exchange. The text of an application's exception never
reaches a client, except in the debug page.
"""

import html
import traceback
from typing import Dict, Type

from ..exceptions import (
    BadRequest,
    ExpectationFailed,
    Forbidden,
    HTTPException,
    InsufficientStorage,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    RangeNotSatisfiable,
    RequestTimeout,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    UnsupportedMediaType,
)

_BY_STATUS: Dict[int, Type[HTTPException]] = {
    kind.code: kind for kind in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, RequestTimeout,
        PreconditionFailed, PayloadTooLarge, UnsupportedMediaType, RangeNotSatisfiable,
        ExpectationFailed, TooManyRequests, InternalServerError, InsufficientStorage,
        ServiceUnavailable)
}

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>{body}</main></body></html>
"""
_STYLE = ("body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#222;background:#fafafa}"
          "main{max-width:60rem;margin:10vh auto;padding:0 1rem}h1{font-size:1.4rem}"
          "footer{color:#777;font-size:.9rem}li{margin:.3rem 0}"
          "code,pre{font:14px/1.5 ui-monospace,monospace;white-space:pre-wrap;"
          "overflow-wrap:anywhere}")
#: policy of the debug page: nothing is loaded, nothing runs (its own style aside)
DEBUG_POLICY = (b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
                b"form-action 'none'")


def exception_for(status: int, reason: str) -> HTTPException:
    """The exception that answers with `status` and `reason` as its text."""
    kind = _BY_STATUS.get(status)
    if kind is not None:
        return kind(reason)
    return HTTPException(reason, code=status, message=reason)


def not_found_page(path: bytes, server_name: str) -> bytes:
    """The default 404: names the path and the server."""
    shown = html.escape(path.decode("utf-8", "replace"))
    body = f"<p>There is no page at <code>{shown}</code>.</p>"
    if server_name:
        body += f"<footer>{html.escape(server_name)}</footer>"
    return _PAGE.format(title="404 Not Found", style=_STYLE, body=body).encode("utf-8")


def debug_page(exc: BaseException) -> bytes:
    """The traceback as an HTML list, everything escaped."""
    shown = exc.__cause__ if isinstance(exc, HTTPException) and exc.__cause__ else exc
    chunks = traceback.format_exception(type(shown), shown, shown.__traceback__)
    items = "".join(f"<li><pre>{html.escape(chunk.rstrip())}</pre></li>" for chunk in chunks)
    return _PAGE.format(title="500 Internal Server Error", style=_STYLE,
                        body=f"<ul>{items}</ul>").encode("utf-8", "replace")
