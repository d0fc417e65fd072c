"""Heads and bodies that are kept for those who look, and what that costs when nobody does."""

import pytest

from tests.support.serving import each_loop, pattern, run, serving_asgi, until
from tremolo.net.capture import CAPTURED


async def echo(scope, receive, send):
    headers = [(b"x-answer", b"1")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    while True:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""),
                    "more_body": more})
        if not more:
            return


def post(body, chunked=False):
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nCookie: b=c\r\n"
    if chunked:
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(body[at:at + 999]), body[at:at + 999])
                          for at in range(0, len(body), 999))
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def ask(site, *requests):
    """The response of each, and what was kept of it (or None)."""
    client = await site.connect()
    found = []
    for wire in requests:
        seen = len(site.server.recent)
        await client.send(wire)
        response = await client.response()
        await until(lambda seen=seen: len(site.server.recent) > seen)
        found.append((response, site.server.recent[-1].capture))
    client.close()
    return found


@each_loop
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_the_beginning_of_both_bodies_is_kept_and_nothing_of_their_framing(
        loop_name, size, chunked):
    async def main():
        async with serving_asgi(echo, lifespan="off") as site:
            site.server.remember(True)
            site.server.recent.captures_left = 1
            body = pattern(size)
            [(response, kept)] = await ask(site, post(body, chunked))
            assert response.body == body
            assert kept.request_body == kept.response_body == body[:CAPTURED]
            assert (b"cookie", b"b=c") in kept.request_fields
            assert kept.response_head.startswith(b"HTTP/1.1 201 ")
            assert b"x-answer: 1\r\n" in kept.response_head.lower()

    run(main, loop_name)


def test_no_more_exchanges_are_kept_than_were_asked_for():
    async def main():
        async with serving_asgi(echo, lifespan="off") as site:
            site.server.remember(True)
            assert (await ask(site, post(b"x")))[0][1] is None
            site.server.recent.captures_left = 2
            found = await ask(site, *[post(b"%d" % n) for n in range(4)])
            assert [kept and bytes(kept.request_body) for _, kept in found] \
                == [b"0", b"1", None, None]
            assert site.server.recent.captures_left == 0

    run(main)


def test_a_body_that_is_not_sent_is_not_kept():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"Hello"})

    async def main():
        async with serving_asgi(app, lifespan="off") as site:
            site.server.remember(True)
            site.server.recent.captures_left = 1
            client = await site.connect()
            await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: site.server.recent)
            kept = site.server.recent[0].capture
            assert b"content-length: 5\r\n" in kept.response_head.lower()
            assert not kept.response_body
            client.close()

    run(main)
