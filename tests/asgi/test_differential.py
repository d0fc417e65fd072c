"""The same application and client script, on Tremolo and on uvicorn: what both hear.

Each scenario gives a trace: what the application received, which of its sends raised, and what
the client saw. A scenario without an explanation must give equal traces on both; one with an
explanation must not, so that no explanation outlives its difference.
"""

import asyncio
import contextlib
import logging
import struct

import pytest

from tests.support.serving import listener, run, serving_asgi, until
from tests.support.websocket_peer import BINARY, CLOSE, TEXT, closing, frame, handshake
from tests.support.wire import Client, within

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("httptools")
pytest.importorskip("websockets")
#: the differences that are explained below are those of this release
if tuple(map(int, uvicorn.__version__.split(".")[:2])) < (0, 54):
    pytest.skip(f"uvicorn {uvicorn.__version__} differs in other ways than 0.54",
                allow_module_level=True)

HEAD = b"Host: localhost\r\n"
GET = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"
PLAIN = [(b"content-type", b"text/plain")]
START = {"type": "http.response.start", "status": 200, "headers": PLAIN}
BODY = {"type": "http.response.body", "body": b"done"}
ACCEPT = {"type": "websocket.accept"}
FORBIDDEN_KEYS = ("client", "server", "extensions", "asgi", "headers", "state")


class Traced:
    """An application that follows `script` and writes down what happens to it."""

    def __init__(self, script):
        self.script = script
        self.trace = []
        self.done = 0
        self.reached = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan here")
        self.scope = scope
        self._receive, self._send = receive, send
        try:
            await self.script(self)
        finally:
            self.done += 1

    async def receive(self):
        message = await self._receive()
        known = dict(message)
        for key in ("text", "bytes"):  # None and missing mean the same
            if key in known and known[key] is None:
                del known[key]
        if known.get("type") == "websocket.disconnect":
            known["reason"] = known.get("reason") or ""
        last = self.trace[-1] if self.trace else None
        if known["type"] == "http.request" and isinstance(last, dict) \
                and last["type"] == "http.request":
            # The pieces in which a body arrives are chance.
            last["body"] += known.get("body", b"")
            last["more_body"] = known.get("more_body", False)
        else:
            self.trace.append(known)
        return message

    async def send(self, message):
        try:
            await self._send(message)
        except Exception as exc:
            kind = "OSError" if isinstance(exc, OSError) else type(exc).__name__
            self.trace.append(f"{message['type']} raised {kind}")
            return False
        return True

    async def body(self):
        while (await self.receive()).get("more_body"):
            pass


@contextlib.asynccontextmanager
async def on_uvicorn(app):
    sock = listener()
    config = uvicorn.Config(
        app, http="httptools", lifespan="off", log_config=None, timeout_keep_alive=5,
        timeout_graceful_shutdown=1, ws_ping_interval=None)
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server.serve(sockets=[sock]))
    try:
        await until(lambda: server.started)
        yield sock.getsockname()
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await within(task)


@contextlib.asynccontextmanager
async def on_tremolo(app):
    async with serving_asgi(app, lifespan="off") as site:
        yield site.address


async def seen_by_client(client):
    """Everything until the end of the connection, without what servers may choose."""
    try:
        data = await client.rest()
    except ConnectionResetError:
        data = bytes(client.buffer)
        client.buffer.clear()
        return "reset after " + head_of(data) if data else "reset"
    return head_of(data)


def head_of(data):
    """Statuses, and the frames or body after the head."""
    if not data:
        return "nothing"
    head, _, rest = data.partition(b"\r\n\r\n")
    status = head.split(b" ")[1].decode()
    if b"chunked" in head.lower():
        pieces, left = [], rest
        while left:
            size, _, left = left.partition(b"\r\n")
            if not size or not int(size, 16):
                break
            pieces.append(left[:int(size, 16)])
            left = left[int(size, 16) + 2:]
        rest = b"".join(pieces) + (b"" if rest.endswith(b"0\r\n\r\n") else b"<cut>")
    if int(status) >= 400 and status != "418":
        return status  # each server has its own text
    return f"{status} {rest!r}"


def traces(script, play):
    """The traces of both servers."""
    found = []

    async def main():
        for serve in (on_tremolo, on_uvicorn):
            app = Traced(script)
            async with serve(app) as address:
                client = await Client.open(address)
                try:
                    seen = await play(app, client)
                    app.trace.append(seen if seen is not None else "client left")
                    await until(lambda app=app: app.done)
                    for _ in range(20):
                        await asyncio.sleep(0)
                finally:
                    client.close()
            seen = app.trace.pop(app.trace.index(seen if seen is not None else "client left"))
            found.append((app.trace, seen))

    logger = logging.getLogger("uvicorn.error")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        run(main)
    finally:
        logger.setLevel(level)
    return found


def asking(request):
    async def play(app, client):
        await client.send(request)
        return await seen_by_client(client)

    return play


def request(method=b"GET", target=b"/", fields=b"Connection: close\r\n", body=b""):
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, target, HEAD, fields, body)


CLOSING = b"Connection: close\r\n"
POST = request(b"POST", fields=CLOSING + b"Content-Length: 5\r\n", body=b"12345")
CHUNKED = request(b"POST", fields=CLOSING + b"Transfer-Encoding: chunked\r\n",
                  body=b"3\r\n123\r\n2\r\n45\r\n0\r\n\r\n")


async def answers(app):
    await app.body()
    await app.send(START)
    await app.send(BODY)


def sends(*messages):
    async def script(app):
        await app.body()
        for message in messages:
            await app.send(message)

    return script


async def raises_first(app):
    raise KeyError("first")


async def raises_in_the_middle(app):
    await app.send(START)
    await app.send({**BODY, "more_body": True})
    raise KeyError("middle")


async def hears_of_the_end(app):
    await answers(app)
    await app.receive()
    await app.receive()


async def hears_of_a_leaving_client(app):
    await app.body()
    app.reached.set()
    await app.receive()
    await app.receive()
    await app.send(START)
    await app.send(BODY)


async def reads_forever(app):
    while (await app.receive())["type"] != "http.disconnect":
        app.reached.set()


def leaving(data):
    async def play(app, client):
        await client.send(data)
        await within(app.reached.wait())
        client.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
        client.close()

    return play


HTTP = [
    ("get", answers, asking(request()), None),
    ("head", answers, asking(request(b"HEAD")), None),
    ("post", answers, asking(POST), None),
    ("chunked post", answers, asking(CHUNKED), None),
    ("no content", sends({**START, "status": 204, "headers": []},
                         {"type": "http.response.body"}), asking(request()), None),
    ("streamed", sends(START, {**BODY, "more_body": True}, {**BODY, "more_body": True}, BODY),
     asking(request()), None),
    ("receive after the response", hears_of_the_end, asking(request()), None),
    ("receive after the client left", hears_of_a_leaving_client, leaving(GET),
     "Sending to a client that left raises an OSError, as the specification has wanted it since "
     "2.4; uvicorn drops what is sent."),
    ("client leaves in its body", reads_forever, leaving(POST[:-2]), None),
    ("raises before the start", raises_first, asking(request()), None),
    ("raises in the middle", raises_in_the_middle, asking(request()),
     "A response that cannot be completed is reset, so that no client takes it for whole; "
     "uvicorn just ends the connection."),
    ("returns without a response", sends(), asking(request()), None),
    ("returns without a body", sends(START), asking(request()),
     "The head is kept back until the first body, so the answer can still be a 500; "
     "uvicorn has sent it and ends the connection."),
    ("body before start", sends(BODY), asking(request()), None),
    ("start twice", sends(START, START, BODY), asking(request()), None),
    ("body after the end", sends(START, BODY, BODY), asking(request()), None),
    ("unknown message", sends({"type": "http.unknown"}, START, BODY), asking(request()), None),
    ("websocket message", sends({"type": "websocket.accept"}, START, BODY), asking(request()),
     None),
    ("more body than promised", sends({**START, "headers": [(b"content-length", b"2")]}, BODY),
     asking(request()),
     "What was promised is delivered and the connection closed; uvicorn delivers nothing, or "
     "what it got, depending on its parser."),
    ("less body than promised", sends({**START, "headers": [(b"content-length", b"9")]}, BODY),
     asking(request()),
     "The application is told by an error from send, and the connection is reset; uvicorn's "
     "error reaches only the log, or nobody, depending on its parser."),
    ("line break in a header", sends({**START, "headers": [(b"x", b"a\r\nb: c")]}, BODY),
     asking(request()),
     "Nothing that may not be sent is sent: a 500 (response splitting). The error comes "
     "with the body, as the head is kept back until then."),
]

ECHO_CLOSE = closing(1000)


def playing(*data, wait=True):
    """Shake hands, send `data`, and tell everything that comes."""
    async def play(app, client):
        await client.send(handshake(fields=[(b"Sec-WebSocket-Protocol", b"a, b")]))
        if wait:
            await client.line(b"\r\n\r\n")
        for piece in data:
            await client.send(piece)
        try:
            return frames_of(await client.rest()) if wait else await seen_by_client(client)
        except ConnectionResetError:
            return "reset"

    return play


def conversing(*messages):
    """Shake hands, send each of `messages` once the one before it was echoed, and close. A close
    that comes with them would race the echoes: whether the application's last `send` is before
    it or raises depends on which step the loop of a server takes first."""
    async def play(app, client):
        await client.send(handshake())
        await client.line(b"\r\n\r\n")
        heard = b""
        for opcode, payload in messages:
            await client.send(frame(opcode, payload))
            heard += await client.need(2 + len(payload))
        await client.send(ECHO_CLOSE)
        return frames_of(heard + await client.rest())

    return play


def frames_of(data):
    found = []
    while data:
        size = data[1]
        found.append((data[0] & 15, data[2:2 + size]))
        data = data[2 + size:]
    return found


async def echoes(app):
    await app.receive()
    await app.send(ACCEPT)
    while (message := await app.receive())["type"] == "websocket.receive":
        await app.send({**message, "type": "websocket.send"})


async def receives_after_the_end(app):
    await echoes(app)
    await app.receive()


async def sends_after_the_client_closed(app):
    await echoes(app)
    await app.send({"type": "websocket.send", "text": "late"})


async def closes_after_the_client_closed(app):
    await echoes(app)
    await app.send({"type": "websocket.close"})


async def closes(app):
    await app.receive()
    await app.send(ACCEPT)
    await app.send({"type": "websocket.close", "code": 4000, "reason": "why"})
    await app.receive()


async def accepts_and_raises(app):
    await app.receive()
    await app.send(ACCEPT)
    raise KeyError("accepted")


def ws_sends(*messages):
    async def script(app):
        await app.receive()
        for message in messages:
            await app.send(message)

    return script


async def refuses_and_receives(app):
    await app.receive()
    await app.send({"type": "websocket.close"})
    await app.receive()


def ws_leaving():
    async def play(app, client):
        await client.send(handshake())
        await client.line(b"\r\n\r\n")
        client.close()

    return play


DENY = [{"type": "websocket.http.response.start", "status": 418, "headers": PLAIN},
        {"type": "websocket.http.response.body", "body": b"short ", "more_body": True},
        {"type": "websocket.http.response.body", "body": b"stout"}]

WEBSOCKET = [
    ("echo", echoes, conversing((TEXT, b"a"), (BINARY, b"b")), None),
    ("empty messages", echoes, conversing((TEXT, b""), (BINARY, b"")), None),
    ("close with code and reason", echoes, playing(closing(4001, b"bye")),
     "The code is echoed (RFC 6455 section 5.5.1); uvicorn echoes the reason too."),
    ("close without a code", echoes, playing(frame(CLOSE)), None),
    ("client just leaves", echoes, ws_leaving(),
     "1006, as RFC 6455 section 7.1.5 has it for a connection that ends without a close frame; "
     "uvicorn says 1005, which means a close frame without a code."),
    ("receive after the end", receives_after_the_end, playing(ECHO_CLOSE),
     "The same disconnect again; uvicorn forgets the code."),
    ("send after the client closed", sends_after_the_client_closed, playing(ECHO_CLOSE), None),
    ("close after the client closed", closes_after_the_client_closed, playing(ECHO_CLOSE),
     None),
    ("application closes", closes, playing(closing(4000)),
     "The reason is what the client said when it closed; uvicorn gives the application its own."),
    ("application raises", accepts_and_raises, playing(closing(1011)),
     "A close frame with 1011; uvicorn ends the connection without one."),
    ("application returns", ws_sends(ACCEPT), playing(ECHO_CLOSE),
     "A close frame with 1000; uvicorn ends the connection without one."),
    ("subprotocol and headers",
     ws_sends({**ACCEPT, "subprotocol": "b", "headers": [(b"x-a", b"1")]},
              {"type": "websocket.close"}), playing(ECHO_CLOSE), None),
    ("refused", refuses_and_receives, playing(wait=False), None),
    ("denied", ws_sends(*DENY), playing(wait=False), None),
    ("never answered", ws_sends(), playing(wait=False), None),
    ("send before accept", ws_sends({"type": "websocket.send", "text": "x"}),
     playing(wait=False), None),
    ("accept twice", ws_sends(ACCEPT, ACCEPT, {"type": "websocket.close"}),
     playing(ECHO_CLOSE), None),
    ("send after close", ws_sends(ACCEPT, {"type": "websocket.close"},
                                  {"type": "websocket.send", "text": "x"}),
     playing(ECHO_CLOSE), None),
    ("text not UTF-8", echoes, playing(frame(TEXT, b"\xff")),
     "The close frame, and the disconnect, say what was wrong."),
]


@pytest.mark.parametrize("script, play, because",
                         [pytest.param(*rest, id=name) for name, *rest in HTTP + WEBSOCKET])
def test_both_servers_give_the_same_trace_or_the_difference_is_explained(
        script, play, because):
    ours, theirs = traces(script, play)
    if because is None:
        assert ours == theirs
    else:
        assert ours != theirs, f"no difference any more: {because}"


@pytest.mark.parametrize("target", [b"/", b"/a%20b/%C3%A9?x=%20&y", b"/%2Fa%zz", b"*",
                                    b"http://localhost/abs?q"])
@pytest.mark.parametrize("upgrade", [False, True], ids=["http", "websocket"])
def test_both_servers_build_the_same_scope(target, upgrade):
    found = []
    if target == b"*" and upgrade:
        pytest.skip("no such request")

    async def script(app):
        scope = app.scope
        found.append({key: value for key, value in scope.items() if key not in FORBIDDEN_KEYS})
        found[-1]["headers"] = sorted(scope["headers"])
        await app.receive()
        await app.send({"type": "websocket.close"} if upgrade else START)
        if not upgrade:
            await app.send(BODY)

    asked = handshake(target, [(b"X-A", b"1"), (b"X-a", b"2")]) if upgrade else request(
        b"OPTIONS" if target == b"*" else b"GET", target, b"X-A: 1\r\nx-a: 2\r\n" + CLOSING)
    traces(script, asking(asked))
    ours, theirs = found
    if target.startswith(b"http:"):
        # The authority is no part of the path (RFC 9112 section 3.2.2); uvicorn leaves it in.
        assert (ours.pop("path"), ours.pop("raw_path")) == ("/abs", b"/abs")
        theirs.pop("path"), theirs.pop("raw_path")
    assert ours == theirs
