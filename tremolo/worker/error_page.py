"""The page of an exception that an application let escape, for whoever develops it.

Text, or HTML for those who ask for it; everything in it is escaped, nothing in it runs (R65).
"""

from typing import List, Tuple

from ..protocol.http1 import RequestHead
from .failures import describe
from .pages import accepts_html


def error_page(exc: BaseException, head: RequestHead) -> Tuple[List[Tuple[bytes, bytes]], bytes]:
    """Headers and body of the answer to `head` in which `exc` was raised."""
    headers = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    if accepts_html(head):
        from ..app.errors import DEBUG_POLICY, debug_page

        headers += [(b"content-type", b"text/html; charset=utf-8"),
                    (b"content-security-policy", DEBUG_POLICY)]
        return headers, debug_page(exc)
    headers.append((b"content-type", b"text/plain; charset=utf-8"))
    text = f"500 Internal Server Error\n\n{describe(exc, 'request', 0)['traceback']}"
    return headers, text.rstrip("\n").encode("utf-8", "backslashreplace")
