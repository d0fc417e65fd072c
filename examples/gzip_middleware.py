"""Compression is the application's choice: a handler's decorator and a response middleware.

    tremolo dev examples/gzip_middleware.py        (or: python3 examples/gzip_middleware.py)
    curl --compressed -v http://127.0.0.1:8000/ -o /dev/null
"""

import functools
import zlib

from tremolo import Tremolo

app = Tremolo()


def compressed(handler):
    """Compress what a handler yields, if the client takes gzip."""

    @functools.wraps(handler)
    async def compress(request, response, **server):
        pieces = handler(request=request, response=response, **server)
        if b"gzip" not in request.headers.getlist(b"accept-encoding"):
            async for piece in pieces:
                yield piece
            return
        response.set_header("Content-Encoding", "gzip")
        gzip = zlib.compressobj(wbits=31)
        async for piece in pieces:
            yield gzip.compress(piece) + gzip.flush(zlib.Z_SYNC_FLUSH)
        yield gzip.flush()

    return compress


@app.on_response
async def vary(response):
    response.append_header("Vary", "Accept-Encoding")


@app.route("/")
@compressed
async def index(content_type="text/plain", **server):
    for number in range(1000):
        yield b"%d is a number like any other.\n" % number


if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
