"""docs/api.md section 7: `response.send` writes bytes exactly as they are."""

import asyncio

import pytest

from tests.app.serving import handler, serve
from tremolo import Tremolo
from tremolo.exceptions import InternalServerError
from tremolo.throttle import Throttle

ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
RAW = b"HTTP/1.1 203 Mine\r\nX-Odd:  \xff\r\ncontent-LENGTH: 3\r\n\r\nabc"


def wire(func, request=ASK, app=None, **options):
    """What a client that asks once, and then only reads, gets until the connection ends."""
    async def scenario(client):
        connection = client.connect()
        connection.send(request)
        connection.send_eof()
        return await connection.receive_all()

    return serve(app or handler(func), scenario, **options)


def ended(func, seen):
    """What the server remembers of a request to `func`, once it is over."""
    async def scenario(client):
        client.server.remember(True)
        client.server.recent.captures_left = 1
        connection = client.connect()
        connection.send(ASK)
        connection.send_eof()
        await connection.receive_all()
        seen.append(client.server.counters.status)
        return client.server.recent[0]

    return serve(handler(func), scenario)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
def test_a_whole_response_leaves_as_it_is(kind, method):
    async def show(response):
        await response.send(kind(RAW))

    assert wire(show, ASK.replace(b"GET", method)) == RAW


@pytest.mark.parametrize("size", [1, 7, 30])
def test_pieces_leave_as_they_are(size):
    async def show(response):
        for at in range(0, len(RAW), size):
            await response.send(RAW[at:at + size])

    assert wire(show) == RAW


def test_without_waiting_too():
    async def show(response):
        response.send_nowait(RAW[:20])
        response.send_nowait(RAW[20:])

    assert wire(show) == RAW


def test_more_than_the_client_takes_at_once_waits():
    body = bytes(range(256)) * 4096

    async def show(response):
        await response.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for at in range(0, len(body), 65536):
            await response.send(body[at:at + 65536])

    assert wire(show) == b"HTTP/1.1 200 OK\r\n\r\n" + body


def test_what_is_returned_after_it_is_not_framed():
    async def show(response):
        await response.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        return "abc"

    assert wire(show) == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


def test_what_is_yielded_or_written_after_it_is_not_framed():
    async def show(response):
        await response.send(b"HTTP/1.1 200 OK\r\n\r\na")
        await response.write("b")
        yield b"c"

    assert wire(show) == b"HTTP/1.1 200 OK\r\n\r\nabc"


def test_chunks_behind_our_own_head_are_the_handlers():
    async def show(response):
        await response.write(None)
        await response.send(b"3;x=y\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n")

    head, _, body = wire(show).partition(b"\r\n\r\n")
    assert b"\r\ntransfer-encoding: chunked" in head.lower()
    assert body == b"3;x=y\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n"


def test_behind_a_length_they_are_the_body():
    async def show(response):
        response.set_header("Content-Length", "4")
        await response.write(b"a")
        await response.send(b"bc")
        response.send_nowait(b"d")

    body = wire(show, ASK + ASK).partition(b"\r\n\r\n")[2]
    assert body.startswith(b"abcdHTTP/1.1 200 OK\r\n"), "the connection did not persist"


def test_more_than_the_promised_length_is_not_sent():
    async def show(response):
        response.set_header("Content-Length", "2")
        await response.write(None)
        await response.send(b"abc")

    assert wire(show).partition(b"\r\n\r\n")[2] == b"ab"


@pytest.mark.parametrize("end, answers", [
    ("await response.send(None)", 2), ("response.close(keepalive=True)", 2),
    ("response.send_nowait(None)", 2), ("response.close()", 1), ("pass", 1),
    ("await response.end()", 1), ("await response.write(b'')", 1),
])
def test_the_connection_persists_only_if_the_handler_says_that_it_is_well_framed(end, answers):
    scope = {"RAW": RAW}
    exec(f"async def show(response):\n    await response.send(RAW)\n    {end}\n", scope)
    assert wire(scope["show"], ASK + ASK) == RAW * answers


def test_a_client_that_asks_for_the_end_gets_it():
    async def show(response):
        await response.send(RAW)
        await response.send(None)

    closing = ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert wire(show, closing + ASK) == RAW


def test_a_body_that_was_not_read_is_not_taken_for_a_request():
    async def show(response):
        await response.send(RAW)
        await response.send(None)

    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(ASK)
    assert wire(show, post + ASK + ASK) == RAW * 2


def test_an_interim_response_leaves_the_response_to_be_given():
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"

    async def show(response):
        await response.send(hint)
        assert not response.headers_sent()
        return "x"

    answer = wire(show)
    assert answer.startswith(hint + b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nx")


def test_the_head_cannot_be_changed_after_it():
    async def show(response):
        await response.send(RAW)
        assert response.headers_sent()
        with pytest.raises(InternalServerError):
            response.set_header("a", "b")
        return ""

    assert wire(show) == RAW


def test_an_error_after_it_resets_the_connection_and_adds_nothing():
    async def show(response):
        await response.send(RAW[:30])
        await asyncio.sleep(0)
        raise ValueError

    assert wire(show) == RAW[:30]


def test_a_middleware_that_answers_takes_its_place():
    app = Tremolo()

    @app.on_response
    async def instead():
        return "instead"

    async def show(response):
        await response.send(RAW)
        await response.send(RAW)

    app.add_route(show, "/")
    answer = wire(None, app=app)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\ninstead")


def test_its_status_and_bytes_are_recorded():
    async def show(response):
        await response.send(RAW)

    seen = []
    exchange = ended(show, seen)
    assert (exchange.response.status, exchange.response.bytes_out, seen[0][2]) == (203, 3, 1)
    assert exchange.capture.response_head + exchange.capture.response_body == RAW
    assert bytes(exchange.capture.response_body) == b"abc"


def test_what_is_no_response_has_no_status():
    async def show(response):
        await response.send(b"hello")

    exchange = ended(show, [])
    response = exchange.response
    assert (response.status, response.bytes_out, exchange.outcome) == (0, 5, "done")


def test_it_is_throttled():
    waited = []

    async def show(response):
        await response.send(RAW)

    async def scenario(client):
        client.server.remember(True)
        client.server.set_throttle("all", Throttle(latency=0.05))
        connection = client.connect()
        connection.send(ASK)
        connection.send_eof()
        assert await connection.receive_all() == RAW
        waited.append(client.server.recent[0].throttled)

    serve(handler(show), scenario)
    assert waited[0] > 0
