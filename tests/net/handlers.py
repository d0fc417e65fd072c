"""Handlers that tests of `net` serve, and what they do with an exchange."""

PLAIN = [(b"content-type", b"text/plain")]


async def hello(exchange):
    exchange.response.respond(200, PLAIN, b"Hello")


async def count(exchange):
    """Answers with the number of bytes that it was sent."""
    exchange.response.respond(200, (), b"%d" % len(await whole_body(exchange)))


async def whole_body(exchange):
    """The body of the request."""
    pieces = []
    while True:
        piece = await exchange.read()
        if not piece:
            return b"".join(pieces)
        assert type(piece) is bytes
        pieces.append(piece)


async def write_all(response, pieces):
    """Write a body that was begun, and end it."""
    for piece in pieces:
        wait = response.write(piece)
        if wait is not None:
            await wait
    response.finish()


def sends(data, size=16384):
    """A handler that answers with `data` in pieces of this size."""
    async def handle(exchange):
        exchange.response.start(200, (), length=len(data))
        await write_all(exchange.response, (
            data[begin:begin + size] for begin in range(0, len(data), size)))

    return handle


async def without_end(exchange):
    """Writes until the client is gone."""
    exchange.response.start(200, PLAIN)
    while not exchange.disconnected:
        wait = exchange.response.write(bytes(100_000))
        if wait is not None:
            await wait
