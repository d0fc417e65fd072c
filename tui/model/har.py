"""HAR 1.2: requests as browsers' developer tools save and read them."""

import base64
import datetime
import re
from collections import Counter
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple
from urllib.parse import parse_qsl, urlsplit

from .bodies import readable, text_of
from .export import url
from .parts import cookies_of
from .records import NoSession
from .requests import without
from .traffic import Row

LARGEST = 16 * 1024  # bytes of a body that is read: as many as workers tell
_HTTP = {"1.0": "HTTP/1.0", "1.1": "HTTP/1.1", "ws": "HTTP/1.1"}


# -- writing

def har_of(rows: Iterable[Row], addresses: Sequence[str], version: str) -> Dict[str, Any]:
    """The HAR document of requests. Bodies are as far as they are known; a comment says so
    where that is not all."""
    return {"log": {"version": "1.2", "creator": {"name": "Tremolo", "version": version or "0"},
                    "entries": [_entry(row, addresses) for row in rows]}}


def _entry(row: Row, addresses: Sequence[str]) -> Dict[str, Any]:
    app, throttle, send = row.phases
    began = datetime.datetime.fromtimestamp(row.t, datetime.timezone.utc)
    entry: Dict[str, Any] = {
        "startedDateTime": began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "time": round(row.ms, 3), "request": _request(row, addresses),
        "response": _response(row), "cache": {}, "connection": str(row.conn),
        "timings": {"send": 0, "wait": round(app, 3), "receive": round(send, 3),
                    "blocked": round(throttle, 3)}}
    if row.state == "aborted":
        entry["comment"] = "the response was cut off"
    return entry


def _request(row: Row, addresses: Sequence[str]) -> Dict[str, Any]:
    message = row.request
    where = url(row, addresses)
    told: Dict[str, Any] = {
        "method": row.method, "url": where, "httpVersion": _HTTP.get(row.http, "HTTP/1.1"),
        **_head(message), "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(urlsplit(where).query, keep_blank_values=True)],
        "headersSize": -1, "bodySize": -1 if message is None or message.size is None
        else message.size}
    if message is not None and message.body:
        text = text_of(message)
        told["postData"] = {"mimeType": message.field("content-type"),
                            "text": message.body.decode("latin-1") if text is None else text}
        if text is None:
            told["postData"]["encoding"] = "latin-1"
            told["postData"]["comment"] = "each character is a byte"
        if not message.body_whole:
            told["postData"]["comment"] = "only the beginning of the body is known"
    return told


def _response(row: Row) -> Dict[str, Any]:
    message = row.response
    size = row.bytes_out if message is None or message.size is None else message.size
    content: Dict[str, Any] = {"size": size, "mimeType": "" if message is None
                               else message.field("content-type")}
    if message is not None and message.body:
        message, _ = readable(message)
        text = text_of(message)
        if text is None:
            content["text"] = base64.b64encode(message.body or b"").decode("ascii")
            content["encoding"] = "base64"
        else:
            content["text"] = text
        if not message.body_whole:
            content["comment"] = "only the beginning of the body is known"
    return {"status": row.status, "statusText": "", "redirectURL": "" if message is None
            else message.field("location"), "httpVersion": _HTTP.get(row.http, "HTTP/1.1"),
            **_head(message), "content": content, "headersSize": -1, "bodySize": size}


def _head(message: Any) -> Dict[str, Any]:
    if message is None:
        return {"headers": [], "cookies": []}
    return {"headers": [{"name": name, "value": value} for name, value in message.headers],
            "cookies": [{"name": name, "value": value} for name, value, _ in cookies_of(message)]}


# -- reading

def records_of_har(document: Any) -> Tuple[List[Dict[str, Any]], List[str]]:
    """The requests of a HAR, as records, and the origins they went to, the one that most of them
    have first. Only those to that one can be sent again. Raises NoSession."""
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise NoSession("it is no HAR: that has log.entries")
    found = list(_read(entries))
    origins = [origin for origin, _ in Counter(origin for origin, _ in found).most_common()]
    records = []
    for number, (origin, record) in enumerate(found, 1):
        if origin != origins[0]:
            record["path"] = origin + record["path"]
        records.append({"v": 1, "kind": "request", "id": number, **record})
    return records, origins


def _read(entries: Sequence[Any]) -> Iterator[Tuple[str, Dict[str, Any]]]:
    for number, entry in enumerate(entries, 1):
        try:
            yield _record(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise NoSession(f"entry {number} of the HAR is none: {type(exc).__name__} {exc}"
                            ) from None


def _record(entry: Mapping[str, Any]) -> Tuple[str, Dict[str, Any]]:
    request, response = entry["request"], entry["response"]
    parts = urlsplit(str(request["url"]))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = _posted(request.get("postData"))
    content = response.get("content") or {}
    timings = entry.get("timings") or {}
    ms = max(0.0, float(entry.get("time") or 0.0))
    status = int(response.get("status") or 0)
    record: Dict[str, Any] = {
        "t": _instant(str(entry["startedDateTime"])), "method": str(request["method"]),
        "path": path, "status": status, "ms": ms, "pid": 0, "gen": 0,
        "ttfb_ms": max(0.0, ms - float(timings.get("receive") or 0.0)),
        "bytes_in": len(body), "state": "done" if status else "aborted",
        "bytes_out": max(0, int(content.get("size") or 0)), "secure": parts.scheme == "https",
        "http": "1.1", "peer": str(entry.get("serverIPAddress") or ""),
        "request": _message(request["headers"], body, len(body)),
        "response": _message(response.get("headers") or [], *_content(content))}
    return f"{parts.scheme}://{parts.netloc}", record


def _posted(data: Any) -> bytes:
    if not data:
        return b""
    text = str(data.get("text") or "")
    return text.encode("latin-1" if data.get("encoding") == "latin-1" else "utf-8")


def _content(content: Mapping[str, Any]) -> Tuple[bytes, int]:
    text = content.get("text")
    body = b"" if text is None else base64.b64decode(text) if (
        content.get("encoding") == "base64") else str(text).encode("utf-8")
    return body, max(len(body), int(content.get("size") or 0))


def _message(headers: Sequence[Mapping[str, Any]], body: bytes, size: int) -> Dict[str, Any]:
    """What is shown is decoded in a HAR, whatever its head says of codings. Pseudo header fields
    of HTTP/2 are left out."""
    fields = tuple((str(field["name"]), str(field["value"])) for field in headers
                   if not str(field["name"]).startswith(":"))
    known = body[:LARGEST]
    told: Dict[str, Any] = {
        "headers": [list(field) for field in without(fields, {"content-encoding"})],
        "size": size, "cut": size > len(known)}
    if known:
        told["body64"] = base64.b64encode(known).decode("ascii")
    return told


_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$")


def _instant(text: str) -> float:
    """ISO 8601 with any number of digits of a second, which Python reads only since 3.11."""
    found = _INSTANT.match(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no instant")
    zone = (found[3] or "Z").replace("Z", "+00:00").replace(":", "")
    whole = datetime.datetime.strptime(found[1] + zone, "%Y-%m-%dT%H:%M:%S%z")
    return whole.timestamp() + float(found[2] or 0)
