"""Responses leave whole, or the client sees a break; and what is known of them afterwards."""

import asyncio
import contextlib

import pytest

from tests.net.handlers import PLAIN
from tests.support.serving import each_loop, run, serving, until
from tests.support.wire import GET

# What the application promises and breaks


@each_loop
def test_bytes_past_the_content_length_are_cut(loop_name):
    async def handle(exchange):
        exchange.response.start(200, [(b"content-length", b"5")])
        exchange.response.write(b"12345678")

    async def main():
        async with serving(handle) as site:
            data = await site.ask(GET + GET)
            assert data.endswith(b"\r\n\r\n12345")
            assert data.count(b"HTTP/1.1 ") == 1
            assert site.server.counters.errors == 1

    run(main, loop_name)


@each_loop
@pytest.mark.parametrize("streamed", [False, True])
def test_fewer_bytes_than_the_content_length_break_the_connection(conversation, streamed):
    async def handle(exchange):
        exchange.response.start(200, [(b"content-length", b"5")])
        if streamed:
            exchange.response.write(b"1")
            exchange.response.flush()
            await asyncio.sleep(0)
        exchange.response.write(b"23")
        exchange.response.finish()

    async def talk(site, client):
        await client.send(GET)
        with pytest.raises((EOFError, ConnectionResetError)):
            await client.response()

    conversation(handle, talk)


@each_loop
@pytest.mark.parametrize("version, fields", [(b"1.1", b"Host: a\r\n"), (b"1.0", b"")])
def test_a_stream_that_fails_has_no_end(conversation, late, version, fields):
    async def fail(exchange):
        raise ValueError("in the middle")

    async def handle(exchange):
        exchange.response.start(200, PLAIN)
        exchange.response.write(b"some")
        exchange.response.flush()
        await late.before(fail)(exchange)

    async def talk(site, client):
        await client.send(b"GET / HTTP/%b\r\n%b\r\n" % (version, fields))
        received = b""
        with pytest.raises(ConnectionResetError):
            while True:
                data = await client.receive()
                assert data, "it ended as if it were whole"
                received += data
                if b"some" in received:
                    late.let()
        assert b"some" in received
        assert b"0\r\n\r\n" not in received
        assert site.server.counters.errors == 1

    conversation(handle, talk)


@pytest.mark.parametrize("status, headers", [
    (200, [(b"x", b"a\r\nset-cookie: b")]),
    (200, [(b"x", b"a\nb")]),
    (200, [(b"x", b"a\0b")]),
    (200, [(b"x\r\ny", b"a")]),
    (200, [(b"x y", b"a")]),
    (200, [(b"", b"a")]),
    (200, [(b"content-length", b"5, 5")]),
    (200, [(b"content-length", b"-1")]),
    (200, [("x", "text")]),
    (200, None),
    (99, []),
    (1000, []),
])
def test_what_may_not_be_sent_becomes_a_500(status, headers):
    async def handle(exchange):
        exchange.response.start(status, headers)
        exchange.response.write(b"body")
        exchange.response.finish()

    async def main():
        async with serving(handle) as site:
            response = await site.get()
            assert response.status == 500
            assert "x" not in response
            assert site.server.counters.errors == 1
            assert site.server.counters.status[5] == 1
            assert site.server.counters.status[2] == 0

    run(main)


def test_an_exception_before_the_response_becomes_a_500():
    async def handle(exchange):
        exchange.response.start(200, PLAIN)
        raise ValueError("secret")

    async def main():
        async with serving(handle) as site:
            response = await site.get()
            assert response.status == 500
            assert b"secret" not in response.body

    run(main)


def test_an_error_hook_is_told_instead_of_the_log():
    async def handle(exchange):
        raise ValueError("secret")

    async def main():
        told = []
        async with serving(handle) as site:
            site.server.on_error = lambda exchange, exc: told.append((exchange, exc))
            await site.get()
            [(exchange, exc)] = told
            assert exchange.error is exc
            assert exchange.response.status == 500

    run(main)


@pytest.mark.parametrize("misuse", [
    "start twice", "write first", "finish first", "write after"])
def test_misuse_of_the_response_raises_in_the_handler(misuse):
    async def main():
        async def handle(exchange):
            if misuse == "write first":
                with pytest.raises(RuntimeError):
                    exchange.response.write(b"x")
            if misuse == "finish first":
                with pytest.raises(RuntimeError):
                    exchange.response.finish()
            exchange.response.start(200, PLAIN)
            if misuse == "start twice":
                with pytest.raises(RuntimeError):
                    exchange.response.start(200, PLAIN)
            exchange.response.write(b"body")
            exchange.response.finish()
            if misuse == "write after":
                with pytest.raises(RuntimeError):
                    exchange.response.write(b"more")
                with pytest.raises(RuntimeError):
                    exchange.response.finish()

        async with serving(handle) as site:
            assert (await site.get()).body == b"body"
            assert site.server.counters.errors == 0

    run(main)


def test_a_handler_that_answers_nothing_is_a_500(conversation):
    async def handle(exchange):
        pass

    async def talk(site, client):
        await client.send(GET)
        response = await client.response()
        assert (response.status, response["connection"]) == (500, "close")
        assert await client.closed()

    conversation(handle, talk)


def test_interim_responses_come_before_the_final_one(conversation):
    async def handle(exchange):
        exchange.response.inform(103, [(b"link", b"</s.css>; rel=preload")])
        exchange.response.respond(200, PLAIN, b"x")

    async def talk(site, client):
        await client.send(GET)
        hint = await client.response()
        assert (hint.status, hint.fields) == (103, [("link", "</s.css>; rel=preload")])
        assert (await client.response()).status == 200
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.response()).status == 200

    conversation(handle, talk)


# What is left for those who look


def test_ended_exchanges_are_remembered_only_while_somebody_wants_them():
    async def main():
        async def handle(exchange):
            exchange.route = "/{x}"
            exchange.response.respond(201, (), await exchange.read())

        async with serving(handle) as site:
            await site.get()
            assert site.server.recent is None
            site.server.remember(True)
            await site.ask(b"POST /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                           b"Content-Length: 3\r\n\r\nabc")
            [row] = site.server.recent
            assert (row.head.method, row.head.target) == (b"POST", b"/a?b")
            assert (row.route, row.bytes_in) == ("/{x}", 3)
            assert (row.response.status, row.response.bytes_out) == (201, 3)
            assert (row.outcome, row.error, row.capture) == ("done", None, None)
            site.server.remember(False)
            assert site.server.recent is None

    run(main)


# What is counted


def counted(handle, request):
    """Status and body bytes of the only exchange, as viewers get them."""
    async def main():
        async with serving(handle) as site:
            site.server.remember(True)
            client = await site.connect()
            await client.send(request)
            with contextlib.suppress(ConnectionResetError):
                await client.rest()
            await until(lambda: site.server.recent)
            [row] = site.server.recent
            return row

    return run(main)


CLOSING = GET[:-2] + b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(("request_", "status", "length", "body", "count"), [
    (CLOSING, 200, None, b"Hello", 5),
    (b"HEAD" + CLOSING[3:], 200, None, b"Hello", 0),
    (CLOSING, 204, None, b"Hello", 0),
    (CLOSING, 304, None, b"Hello", 0),
    (CLOSING, 200, b"3", b"Hello", 3),
    (CLOSING, 200, b"9", b"Hello", 22),  # of the error in its place
], ids=["whole", "to HEAD", "204", "304", "longer than promised", "shorter than promised"])
@pytest.mark.parametrize("how", ["respond", "write"])
def test_the_bytes_of_a_body_are_counted_as_they_were_sent(request_, status, length, body, count,
                                                           how):
    async def handle(exchange):
        headers = [] if length is None else [(b"content-length", length)]
        if how == "respond":
            exchange.response.respond(status, headers, body)
        else:
            exchange.response.start(status, headers)
            exchange.response.write(body)
            exchange.response.finish()

    if how == "write" and length == b"9":
        count = 0  # cut before it left
    assert counted(handle, request_).response.bytes_out == count


@each_loop
@pytest.mark.parametrize("how", ["respond", "write_last"])
def test_a_body_shorter_than_promised_is_a_500_when_nothing_has_left(conversation, how):
    async def handle(exchange):
        if how == "respond":
            exchange.response.respond(200, [(b"content-length", b"9"), (b"x-one", b"1")],
                                      b"Hello")
        exchange.response.start(200, [(b"content-length", b"9"), (b"x-one", b"1")])
        exchange.response.write_last(b"Hello")

    async def talk(site, client):
        await client.send(GET)
        response = await client.response()
        assert (response.status, response.body) == (500, b"Internal Server Error\n")
        assert "x-one" not in response
        assert await client.closed()
        counters = site.server.counters
        assert (counters.status[2], counters.status[5], counters.errors) == (0, 1, 1)

    conversation(handle, talk)


def test_after_a_body_shorter_than_promised_a_handler_may_answer_otherwise(conversation):
    async def handle(exchange):
        try:
            exchange.response.respond(200, [(b"content-length", b"9")], b"Hello")
        except RuntimeError:
            exchange.response.respond(502, PLAIN, b"sorry")

    async def talk(site, client):
        for _ in range(2):
            await client.send(GET)
            response = await client.response()
            assert (response.status, response.body) == (502, b"sorry")

    conversation(handle, talk)
