"""Sends a request to the server again, over a socket of its own.

No more of HTTP than that takes; nothing waits without a limit. Imported on first use.
"""

import asyncio
import hashlib
import ssl
import time
from typing import Any, List, Sequence, Tuple, Union
from urllib.parse import urlsplit

from .model.pins import BODY, Answer
from .model.requests import DEFAULT, Request, problem_of
from .model.session import Session

TIMEOUT = 10.0  # seconds for all
LARGEST = 16 * 1024 * 1024  # bytes of a body; more is an endless one
HEAD_LIMIT = 64 * 1024
TOLD = 0.5  # seconds in which the feed has told what a request did
EXPECT_BODY = ("POST", "PUT", "PATCH")  # an empty one is announced as well (RFC 9110, 8.6)


class ReplayError(Exception):
    """No whole answer came; the text says why."""


async def send(request: Union[Request, Tuple[str, str]], addresses: Sequence[str],
               gen: int = 0, ours: bool = True) -> Answer:
    """Send `request` (its method and target are enough) to the first of `addresses`. Never
    raises for what the network or the server does: `Answer.error` says it. The certificate of
    a server that is not `ours` is checked."""
    began = time.perf_counter()

    def failed(why: str) -> Answer:
        return Answer(0, 0, "", (time.perf_counter() - began) * 1000, gen, why, time.time())

    try:
        found = await asyncio.wait_for(_exchange(Request(*request), addresses, ours), TIMEOUT)
    except asyncio.TimeoutError:
        return failed(f"no whole answer within {TIMEOUT:.0f} s")
    except ReplayError as exc:
        return failed(str(exc))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return failed("the answer was cut off or not HTTP")
    except OSError as exc:
        return failed(exc.strerror or type(exc).__name__)
    return found._replace(ms=(time.perf_counter() - began) * 1000, gen=gen, t=time.time())


def written(request: Request, host: str) -> bytes:
    """The request as it goes to the server that is called `host`: framing and what belongs
    to the connection set anew. Raises ReplayError for what could break the head."""
    problem = problem_of(request)
    if problem:
        raise ReplayError(problem)
    headers = DEFAULT if request.headers is None else request.headers
    lines = [f"{request.name} HTTP/1.1"]
    if not any(name.lower() == "host" for name, _ in headers):
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    if request.body or request.method in EXPECT_BODY:
        lines.append(f"Content-Length: {len(request.body)}")
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + request.body


async def _exchange(request: Request, addresses: Sequence[str], ours: bool) -> Answer:
    if not addresses:
        raise ReplayError("the server's address is not known")
    reader, writer, host = await _connect(addresses[0], ours)
    try:
        writer.write(written(request, host))
        status, fields = await _head(reader)
        while 100 <= status < 200:
            status, fields = await _head(reader)
        body = _Body(reader)
        if request.method != "HEAD" and status not in (204, 304):
            await body.read(fields)
        return Answer(status, body.size, body.digest.hexdigest(), 0.0, headers=tuple(fields),
                      body=bytes(body.kept), peer=_peer(writer))
    finally:
        writer.transport.abort()


async def _connect(address: str, ours: bool
                   ) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address[5:], limit=HEAD_LIMIT)
        return reader, writer, "localhost"
    parts = urlsplit(address)
    host = parts.hostname or "127.0.0.1"
    connect = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    options: Any = {}
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if ours:
            context.check_hostname = False  # often it has a certificate
            context.verify_mode = ssl.CERT_NONE  # that nobody has signed
        options = {"ssl": context, "server_hostname": host}
    port = parts.port or (443 if options else 80)
    reader, writer = await asyncio.open_connection(connect, port, limit=HEAD_LIMIT, **options)
    return reader, writer, parts.netloc


def _peer(writer: asyncio.StreamWriter) -> str:
    """What the server calls this end of the connection, as rows have it."""
    name = writer.get_extra_info("sockname")
    if not isinstance(name, tuple):
        return ""
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


async def _head(reader: asyncio.StreamReader) -> Tuple[int, List[Tuple[str, str]]]:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text[:-4].split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise ReplayError("the answer is not HTTP")
    fields = []
    for line in lines:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip()))
    return int(rest[:3]), fields


class _Body:
    """Reads a body in any of its three framings: its size and digest, and its beginning."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.size = 0
        self.digest = hashlib.sha256()
        self.kept = bytearray()

    async def read(self, fields: Sequence[Tuple[str, str]]) -> None:
        known = dict(fields)
        if "chunked" in known.get("transfer-encoding", "").lower():
            while True:
                line = await self._reader.readuntil(b"\r\n")
                count = int(line.split(b";")[0], 16)
                if not count:
                    return
                await self._take(count)
                await self._reader.readexactly(2)
        elif "content-length" in known:
            await self._take(int(known["content-length"]))
        else:
            while await self._some(65536):
                pass

    async def _take(self, count: int) -> None:
        while count:
            got = await self._some(min(count, 65536))
            if not got:
                raise ReplayError("the answer was cut off")
            count -= got

    async def _some(self, most: int) -> int:
        data = await self._reader.read(most)
        self.size += len(data)
        if self.size > LARGEST:
            raise ReplayError(f"more than {LARGEST >> 20} MiB; it seems to be endless")
        self.digest.update(data)
        self.kept += data[:BODY - len(self.kept)]
        return len(data)


async def as_reported(answer: Answer, session: Session) -> Answer:
    """`answer` with what the server reports of it, as soon as that is told: how long it took
    there, as its row has it, and the queries that were made for it. What is not told in time
    stays as it is; where nothing is told of queries at all, they are not waited for."""
    if answer.error or not answer.peer:
        return answer
    deadline = time.monotonic() + TOLD
    while True:
        row = session.traffic.newest_of(answer.peer)
        facts = session.insight.of(row.pid, row.id) if row is not None else None
        late = time.monotonic() > deadline
        whole = facts is not None or not session.insight.counts_queries
        if late or (row is not None and whole):
            break
        await asyncio.sleep(0.02)
    if row is not None and row.state != "live":
        answer = answer._replace(ms=row.ms)
    if session.insight.counts_queries:  # a request without facts made none
        answer = answer._replace(queries=facts.query_count if facts is not None
                                 else 0 if row is not None else -1)
    return answer
