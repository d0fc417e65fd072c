"""What is wrong with a request is answered with its status and one clear sentence, and the
connection stays usable wherever it is certain where the next request begins (RFC 9112 section
9.3): a table, through the server core in memory and over a real socket.
"""

import asyncio
import errno
import io
import os
import re
import socket

import pytest

from tests.support.serving import until
from tremolo import Tremolo
from tremolo.app.adapter import NativeAdapter
from tremolo.config import Settings
from tremolo.net.server import Server
from tremolo.testing import Client

app = Tremolo()


@app.route("/")
async def fine():
    return "fine"


@app.route("/body")
async def body(request):
    return str(len(await request.body()))


@app.route("/form")
async def form(request):
    return repr(await request.form())


@app.route("/small")
async def small(request):
    return repr(await request.form(max_fields=2, max_size=100))


@app.route("/files")
async def files(request):
    return repr([part["filename"] async for part in request.files(max_files=2)])


@app.route("/query")
async def query(request):
    return repr(request.query)


@app.route("/file")
async def file(response):
    await response.sendfile(__file__)


@app.route("/ws")
async def websocket(websocket=None):
    if websocket is not None:
        await websocket.accept()
    return "no handshake"


@app.route("/view")
class View:
    async def get(self):
        return "got"


HOST = b"Host: example.org"


def request(line, *fields, body=b"", host=True):
    fields = [HOST, *fields] if host else fields
    return b"\r\n".join([line + b" HTTP/1.1", *fields, b"", body])


def post(path, kind, body):
    return request(b"POST " + path, b"Content-Type: " + kind,
                   b"Content-Length: %d" % len(body), body=body)


def chunked(body):
    return request(b"POST /body", b"Transfer-Encoding: chunked", body=body)


def handshake(*fields):
    return request(b"GET /ws", b"Upgrade: websocket", b"Connection: Upgrade", *fields)


URLENCODED = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"
END = b"--b--\r\n"
KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
BIG = b"%x\r\n" % 3_000_000 + b"x" * 3_000_000 + b"\r\n0\r\n\r\n"


def part(disposition=b'form-data; name="a"', data=b"x"):
    return b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + data + b"\r\n"


CLOSED = [  # what comes after these cannot be told from them
    ("no request", b"hello\r\n\r\n", 400, "bad request: not a request"),
    ("HTTP/0.9", b"GET / HTTP/0.9\r\n\r\n", 400, "bad request: not a request"),
    ("HTTP/2", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505,
     "HTTP Version Not Supported: only 1.0 and 1.1 are"),
    ("no Host", request(b"GET /", host=False), 400, "bad request: no Host"),
    ("two Hosts", request(b"GET /", HOST), 400, "bad request: more than one Host"),
    ("an invalid Host", request(b"GET /", b"Host: a b", host=False), 400,
     "bad request: invalid Host"),
    ("a space before the colon", request(b"GET /", b"X : 1"), 400,
     "bad request: a field name is not a token"),
    ("no colon", request(b"GET /", b"X"), 400, "bad request: a field line without a colon"),
    ("a folded line", request(b"GET /", b"X: 1", b" 2"), 400,
     "bad request: a field line without a colon"),
    ("NUL", request(b"GET /", b"X: \0"), 400, "bad request: a control character in the header"),
    ("a bare CR", request(b"GET /", b"X: a\rb"), 400,
     "bad request: a line does not end with CRLF"),
    ("bare LFs", b"GET / HTTP/1.1\nHost: a\n\n", 400,
     "bad request: a line does not end with CRLF"),
    ("a space in the target", request(b"GET /a b"), 400, "bad request: not a request"),
    ("a bad target", request(b"GET *"), 400, "bad request: invalid request target"),
    ("CONNECT", request(b"CONNECT a:1"), 501,
     "CONNECT is not implemented: this is not a proxy"),
    ("a long request line", request(b"GET /" + b"a" * 9000), 414, "request line too long"),
    ("many fields", request(b"GET /", *[b"X: 1"] * 101), 431,
     "request header too large: too many fields"),
    ("large fields", request(b"GET /", b"X: " + b"a" * 40000), 431, "request header too large"),
    ("two lengths", request(b"POST /body", b"Content-Length: 1", b"Content-Length: 1", body=b"x"),
     400, "bad Content-Length"),
    ("a bad length", request(b"POST /body", b"Content-Length: +1", body=b"x"), 400,
     "bad Content-Length"),
    ("a length and chunked", request(b"POST /body", b"Content-Length: 1",
                                     b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400,
     "ambiguous Content-Length"),
    ("an unknown coding", request(b"POST /body", b"Transfer-Encoding: gzip"), 400,
     "unexpected Transfer-Encoding"),
    ("chunked in 1.0", b"POST /body HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, "unexpected Transfer-Encoding"),
    ("a bad chunk size", chunked(b"x\r\n"), 400, "bad chunked encoding: no chunk size"),
    ("no chunk size", chunked(b"\r\n"), 400, "bad chunked encoding: no chunk size"),
    ("a bad chunk end", chunked(b"1\r\nxyz\r\n0\r\n\r\n"), 400,
     "bad chunked encoding: invalid chunk terminator"),
    ("a long chunk line", chunked(b"1;" + b"a" * 300 + b"\r\nx\r\n0\r\n\r\n"), 400,
     "bad chunked encoding"),
    ("a bad trailer", chunked(b"0\r\nbad trailer\r\n\r\n"), 400,
     "bad request: a field line without a colon"),
    ("a large body", request(b"POST /body", b"Content-Length: 3000000"), 413,
     "Payload Too Large"),
    ("a large chunked body", chunked(BIG), 413, "payload too large"),
    ("a large body announced", request(b"POST /body", b"Content-Length: 3000000",
                                       b"Expect: 100-continue"), 417, "Expectation Failed"),
    ("an unknown expectation", request(b"POST /body", b"Content-Length: 1", b"Expect: cookies"),
     417, "Expectation Failed: only 100-continue is known"),
]

USABLE = [
    ("an unknown path", request(b"GET /nowhere"), 404, None),
    ("OPTIONS *", request(b"OPTIONS *"), 404, None),
    ("a method that a view lacks", request(b"DELETE /view"), 405, "Method Not Allowed"),
    ("a method of no standard", request(b"BREW /view"), 405, "Method Not Allowed"),
    ("a long query", request(b"GET /query?" + b"&".join([b"a=1"] * 101)), 400,
     "the query string has more than 100 fields"),
    ("a form of another type", post(b"/form", b"text/plain", b"a=1"), 400,
     "invalid Content-Type"),
    ("a form of no type", request(b"POST /form", b"Content-Length: 3", body=b"a=1"), 400,
     "invalid Content-Type"),
    ("a large form", post(b"/small", URLENCODED, b"a=" + b"x" * 200), 413,
     "form size limit reached"),
    ("a form of many fields", post(b"/small", URLENCODED, b"a=1&b=1&c=1"), 413,
     "the form has more than 2 fields"),
    ("no boundary", post(b"/files", b"multipart/form-data", b"x"), 400,
     "invalid Content-Type: missing boundary"),
    ("a bad boundary", post(b"/files", b'multipart/form-data; boundary="\xff"', b"x"), 400,
     "invalid Content-Type: invalid boundary"),
    ("no final boundary", post(b"/files", MULTIPART, part()), 400,
     "the body ended before its final boundary"),
    ("no part", post(b"/files", MULTIPART, b"hello"), 400,
     "the body ended before its final boundary"),
    ("an unnamed part", post(b"/files", MULTIPART, part(b"form-data") + END), 400,
     "a part has no name"),
    ("no form-data", post(b"/files", MULTIPART, part(b"attachment; name=x") + END), 400,
     "the Content-Disposition of a part is not form-data"),
    ("a bad line in a part", post(b"/files", MULTIPART, b"--b\r\nno colon\r\n\r\nx\r\n" + END),
     400, "a part has an invalid header line"),
    ("many lines in a part", post(b"/files", MULTIPART, b"--b\r\n" + b"X: 1\r\n" * 30
                                  + b"\r\nx\r\n" + END), 413, "a part has more than 20 headers"),
    ("many parts", post(b"/files", MULTIPART, part() * 3 + END), 413, "more than 2 parts"),
    ("large fields of a form", post(b"/form", MULTIPART, part(data=b"x" * 300_000) + END), 413,
     "the form's fields are too large together"),
    ("a large multipart form", post(b"/small", MULTIPART, part(data=b"x" * 200) + END), 413,
     "the form's fields are too large together"),
    ("a range beyond the end", request(b"GET /file", b"Range: bytes=999999-"), 416,
     "Range Not Satisfiable"),
    ("a range of nothing", request(b"GET /file", b"Range: bytes=-0"), 416,
     "Range Not Satisfiable"),
    ("another version than asked for", request(b"GET /file", b'If-Match: "other"'), 412,
     "Precondition Failed"),
    ("another WebSocket", handshake(KEY, b"Sec-WebSocket-Version: 8"), 426,
     "Sec-WebSocket-Version must be 13."),
    ("a bad WebSocket key", handshake(b"Sec-WebSocket-Key: AA", b"Sec-WebSocket-Version: 13"),
     400, "Sec-WebSocket-Key must be one field with the base64 form of 16 bytes."),
]

rows = pytest.mark.parametrize("data, status, sentence, usable", [
    pytest.param(*row[1:], usable, id=row[0])
    for table, usable in ((CLOSED, False), (USABLE, True)) for row in table])


def judge(answer, status, sentence, usable):
    """`answer` is all that came for the request and a good one behind it."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    text = rest[:length].decode()
    if sentence is not None:
        assert text.rstrip("\n") == sentence
        assert "<" not in text and "Traceback" not in text
    assert (b"close" in head.lower()) is not usable
    if usable:
        assert rest[length:].startswith(b"HTTP/1.1 200 ") and rest.endswith(b"fine")
    else:
        assert rest[length:] == b""


@rows
def test_bad_input_in_memory(data, status, sentence, usable):
    async def scenario():
        async with Client(app) as client:
            answer = await asyncio.wait_for(client.raw(data + request(b"GET /")), 10)
            assert client.server.counters.errors == 0
            return answer

    judge(asyncio.run(scenario()), status, sentence, usable)


@rows
def test_bad_input_over_a_socket(data, status, sentence, usable):
    async def scenario():
        settings = Settings(log_level="ERROR")
        adapter = NativeAdapter(app, settings)
        await adapter.startup()
        server = Server(adapter, settings)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            await server.start([listening])
            reader, writer = await asyncio.open_connection(*address)
            writer.write(data)
            if usable:
                # A client that goes on waits for its answer first.
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"(?i)content-length: (\d+)", answer)[1])
                answer += await reader.readexactly(length)
                writer.write(request(b"GET /", b"Connection: close"))
            else:
                writer.write(request(b"GET /"))
                answer = b""
            answer += await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await server.drain(1.0)
            await until(lambda: not server.connections)
        await adapter.shutdown()
        return answer

    judge(asyncio.run(scenario()), status, sentence, usable)


# A disk without room


FILE = (b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n%b\r\n--b--\r\n'
        % bytes(3 << 20))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG],
                         ids=errno.errorcode.get)
def test_an_upload_that_the_disk_has_no_room_for_is_a_507(error, monkeypatch):
    closed = []

    class Full(io.BytesIO):
        """A file on a disk without room."""

        def write(self, data):
            raise OSError(error, os.strerror(error))

        def close(self):
            closed.append(True)
            super().close()

    uploads = Tremolo()

    @uploads.route("/files")
    async def files(request):
        return str(sum([len(part["data"]) async for part in request.files()]))

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())

    async def main():
        async with Client(uploads, client_max_body_size=10 << 20) as client:
            answer = await client.post("/files", body=FILE, headers={
                "Content-Type": "multipart/form-data; boundary=b"})
            assert answer.status == 507
            assert (await client.post("/files", body=FILE[:70] + FILE[-12:], headers={
                "Content-Type": "multipart/form-data; boundary=b"})).status == 200

    asyncio.run(main())
    assert closed
