"""Pages about errors, for the developer of the application: an exception that it let escape, a
start that failed.

Made of ErrorEvents. Text, or HTML in which everything is escaped and nothing runs.
"""

from typing import Any, List, Mapping, Tuple

from ..protocol.http1 import RequestHead
from .failures import describe

Header = Tuple[bytes, bytes]

#: nothing is loaded, nothing runs (its own style aside); the framework's debug page has the same
DEBUG_POLICY = (b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
                b"form-action 'none'")
_COMMON = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
_HTML = [(b"content-type", b"text/html; charset=utf-8"),
         (b"content-security-policy", DEBUG_POLICY), *_COMMON]
_TEXT = [(b"content-type", b"text/plain; charset=utf-8"), *_COMMON]

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; color: #222; background: #fafafa }}
main {{ max-width: 70rem; margin: 8vh auto; padding: 0 1rem }}
h1 {{ font-size: 1.4rem; overflow-wrap: anywhere }} p {{ overflow-wrap: anywhere }}
pre {{ font: 14px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }}
footer {{ color: #777 }}
</style></head>
<body><main><p>{title}</p><h1>{what}</h1><p><code>{place}</code></p><pre>{traceback}</pre>
<footer>{note}</footer></main></body></html>
"""


def exception_page(exc: BaseException, html: bool) -> Tuple[List[Header], bytes]:
    """Headers and body of the 500 for an exception."""
    return page(describe(exc, "request", 0), "500 Internal Server Error", "", html)


def proxy_page(what: str, advice: str, head: RequestHead) -> Tuple[List[Header], bytes]:
    """Headers and body of the 502 for a server that does not answer. It may be on its way: a
    browser tries again by itself."""
    html = any(b"text/html" in value.lower() for name, value in head.headers
               if name == b"accept")
    headers, body = page({"type": what, "traceback": advice}, "502 Bad Gateway", "", html)
    return [*headers, (b"retry-after", b"1"), *([(b"refresh", b"2")] if html else [])], body


def page(error: Mapping[str, Any], title: str, note: str,
         html: bool) -> Tuple[List[Header], bytes]:
    """Headers and body of a page about an ErrorEvent."""
    what = str(error.get("type") or "Error")
    if error.get("text"):
        what += f": {error['text']}"
    traceback = str(error.get("traceback") or "").rstrip("\n")
    if not html:
        text = "\n\n".join(part for part in (title, what, traceback, note) if part) + "\n"
        return list(_TEXT), text.encode("utf-8", "backslashreplace")
    place = error.get("file") or ""
    if place and error.get("line"):
        place += f":{error['line']}"
    from html import escape  # with it come two thousand names of characters

    text = _PAGE.format(title=escape(title), what=escape(what), place=escape(place),
                        traceback=escape(traceback), note=escape(note))
    return list(_HTML), text.encode("utf-8", "backslashreplace")
