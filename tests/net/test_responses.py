"""Responses leave whole, in few writes, within bounded memory, or the client sees a break."""

import asyncio
import contextlib
import os

import pytest

from tests.support.serving import (
    GET,
    Client,
    Handling,
    by_hand,
    each_loop,
    pass_time,
    pattern,
    run,
    serving,
    settle,
    until,
)
from tremolo.net.counters import Counters
from tremolo.net.outbox import UNBROKEN, WRITE_SIZE, Outbox

PLAIN = [(b"content-type", b"text/plain")]


# Coalescing


@each_loop
def test_head_and_body_leave_in_one_write(loop_name):
    async def handle(exchange):
        exchange.response.start(200, PLAIN)
        exchange.response.write(b"Hello")
        exchange.response.finish()

    async def main():
        async with serving(handle) as site:
            assert (await site.get()).body == b"Hello"
            assert site.server.counters.writes == 1

    run(main, loop_name)


@each_loop
def test_a_thousand_small_pieces_leave_in_three_writes_at_most(loop_name):
    async def handle(exchange):
        exchange.response.start(200, PLAIN)
        for _ in range(1000):
            wait = exchange.response.write(b"0123456789")
            if wait is not None:
                await wait
        exchange.response.finish()

    async def main():
        async with serving(handle) as site:
            assert (await site.get()).body == b"0123456789" * 1000
            assert site.server.counters.writes <= 3

    run(main, loop_name)


def test_a_piece_is_sent_before_the_next_one_is_there(conversation, late):
    async def end(exchange):
        exchange.response.finish()

    async def handle(exchange):
        exchange.response.start(200, PLAIN)
        exchange.response.write(b"first")
        await late.before(end)(exchange)

    async def talk(site, client):
        await client.send(GET)
        await client.line(b"5\r\nfirst\r\n")
        late.let()
        assert await client.line() == b"0"

    conversation(handle, talk)


def test_the_head_can_be_sent_before_any_body(conversation, late):
    async def body(exchange):
        exchange.response.write(b"abc")
        exchange.response.finish()

    async def handle(exchange):
        exchange.response.start(200, PLAIN, length=3)
        exchange.response.flush()
        await late.before(body)(exchange)

    async def talk(site, client):
        await client.send(GET)
        assert b"content-length: 3" in await client.line(b"\r\n\r\n")
        late.let()
        assert await client.need(3) == b"abc"

    conversation(handle, talk)


# Big bodies and slow clients


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_a_big_body_in_one_piece_arrives_unchanged(conversation, tls):
    data = pattern(8_000_000)

    async def handle(exchange):
        exchange.response.respond(200, PLAIN, data)

    async def talk(site, client):
        for _ in range(2):
            await client.send(GET)
            response = await client.response()
            assert response["content-length"] == str(len(data))
            assert response.body == data

    conversation(handle, talk, tls=tls)


@pytest.mark.skipif(not hasattr(os, "writev"), reason="this Python has no writev(2), and "
                    "gives each piece to the transport")
@each_loop
def test_large_pieces_of_one_turn_are_gathered_into_few_writes(conversation):
    size, pieces = 64 * 1024, 16

    async def handle(exchange):
        exchange.response.start(200, PLAIN, length=size * pieces)
        for number in range(pieces):
            assert exchange.response.write(pattern(size, number)) is None
        exchange.response.finish()

    async def talk(site, client):
        await client.send(GET)
        response = await client.response()
        assert response.body == b"".join(pattern(size, n) for n in range(pieces))
        assert site.server.counters.writes <= size * pieces // WRITE_SIZE + 1

    conversation(handle, talk, receive_buffer=4 * size * pieces)


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_pieces_of_all_sizes_arrive_in_their_order(conversation, tls):
    sizes = [1, 70_000, 5_000, 300_000, 100, 65_536, 65_536, 65_536, 262_144, 3] * 12

    async def handle(exchange):
        exchange.response.start(200, PLAIN, length=sum(sizes))
        for number, size in enumerate(sizes):
            wait = exchange.response.write(pattern(size, number))
            if wait is not None:
                await wait
        exchange.response.finish()

    async def talk(site, client):
        await client.send(GET)
        response = await client.response()
        assert response.body == b"".join(pattern(size, n) for n, size in enumerate(sizes))

    conversation(handle, talk, tls=tls, receive_buffer=16384)


class Bottomless:
    """A transport whose client takes everything at once."""

    def __init__(self):
        self.taken = 0

    def write(self, data):
        self.taken += len(data)

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0


def test_a_big_body_to_a_fast_client_leaves_the_loop_its_turns():
    size = 10 * UNBROKEN

    async def main():
        transport = Bottomless()
        outbox = Outbox(asyncio.get_running_loop(), transport, Counters(), lambda _: None, None)
        wait = outbox.push(bytes(size))
        turns = 0
        while transport.taken < size:
            assert transport.taken <= (turns + 1) * UNBROKEN
            await asyncio.sleep(0)
            turns += 1
        await wait

    run(main)


@each_loop
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_body_can_be_any_kind_of_bytes_and_is_taken_as_it_is_now(loop_name, kind):
    async def handle(exchange):
        store = bytearray(b"first")
        exchange.response.start(200, PLAIN, length=10)
        exchange.response.write(kind(store))
        store[:] = b"other"
        exchange.response.write(kind(store))
        exchange.response.finish()

    async def main():
        async with serving(handle) as site:
            assert (await site.get()).body == b"firstother"

    run(main, loop_name)


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_a_slow_client_holds_the_handler_and_not_memory(conversation, tls):
    size, pieces = 100_000, 300
    sent = 0

    async def handle(exchange):
        nonlocal sent
        exchange.response.start(200, PLAIN, length=size * pieces)
        for number in range(pieces):
            wait = exchange.response.write(pattern(size, number))
            sent += size
            if wait is not None:
                await wait
        exchange.response.finish()

    async def talk(site, client):
        await client.send(GET)
        waiting = await site.stuck()
        assert sent < size * pieces
        records = 1.01 if tls else 1  # what waits may be encrypted already
        assert waiting <= (WRITE_SIZE + size) * records
        response = await client.response()
        assert response.body == b"".join(pattern(size, n) for n in range(pieces))

    conversation(handle, talk, tls=tls, receive_buffer=16384)


async def without_end(exchange):
    """Writes until the client is gone."""
    exchange.response.start(200, PLAIN)
    while not exchange.disconnected:
        wait = exchange.response.write(bytes(100_000))
        if wait is not None:
            await wait


@by_hand
def test_a_client_that_stops_reading_is_given_up(conversation):
    async def talk(site, client):
        await client.send(GET)
        await site.stuck()
        await pass_time(29)
        assert site.server.connections
        await pass_time(35)
        assert not site.server.connections
        await until(lambda: not site.server.tasks)
        assert site.server.counters.aborted == 1

    conversation(without_end, talk, receive_buffer=16384)


@by_hand
def test_a_client_that_reads_slowly_is_not_given_up(conversation):
    """The handler waits again and again: only silence since the last wait may count."""
    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.connections and site.connection.outbox.full)
        for silence in (29.5, 19.5) * 3:
            mark = site.connection.bytes_out
            while site.connection.bytes_out == mark or not site.connection.outbox.full:
                await client.receive(1 << 20)
                await settle(2)
            await pass_time(silence)
            assert site.server.connections

    conversation(without_end, talk, receive_buffer=16384)


@by_hand
def test_a_whole_response_that_nobody_takes_is_given_up(conversation):
    async def handle(exchange):
        exchange.response.respond(200, [(b"connection", b"close")], bytes(30_000_000))

    async def talk(site, client):
        await client.send(GET)
        await site.stuck()
        await pass_time(65)
        assert not site.server.connections
        assert site.server.counters.aborted == 1

    conversation(handle, talk, receive_buffer=16384)


def test_the_next_request_waits_for_the_last_response_to_leave(conversation):
    async def handle(exchange):
        exchange.response.respond(200, PLAIN, bytes(5_000_000))

    async def talk(site, client):
        await client.send(GET * 3)
        await site.stuck()
        assert site.server.counters.requests == 1
        for _ in range(3):
            assert len((await client.response()).body) == 5_000_000

    conversation(handle, talk, receive_buffer=16384)


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


# The client leaves


@each_loop
def test_a_handler_learns_from_its_writes_that_the_client_left(conversation):
    async def handle(exchange):
        await without_end(exchange)
        assert exchange.response.write(b"dropped") is None
        exchange.response.finish()

    async def talk(site, client):
        site.server.remember(True)
        await client.send(GET)
        await client.receive()
        client.reset()
        await until(lambda: not site.server.tasks)
        assert (site.server.counters.aborted, site.server.counters.errors) == (1, 0)
        [row] = site.server.recent
        assert row.outcome == "aborted"

    conversation(handle, talk)


@by_hand
@pytest.mark.parametrize("leave", [Client.close, Client.reset])
def test_a_handler_that_outlives_its_client_is_cancelled(conversation, leave):
    cancelled = []

    async def handle(exchange):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(exchange)
            raise

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        leave(client)
        await until(lambda: not site.server.connections or site.connection.eof)
        await pass_time(4)
        assert not cancelled
        await pass_time(2)
        assert cancelled

    conversation(Handling(handle, close_timeout=5.0), talk)


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
