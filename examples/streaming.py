"""A response that is made while it is sent: each `yield` is a chunk.

    tremolo dev examples/streaming.py        (or: python3 examples/streaming.py)
    curl -N http://127.0.0.1:8000/count?to=5
"""

import asyncio

from tremolo import Tremolo

app = Tremolo()


@app.route("/")
async def index(content_type="text/plain"):
    yield b"The first chunk is sent at once,\n"
    await asyncio.sleep(0.5)
    yield "and the others when they are there.\n"


@app.route("/count")
async def count(request, content_type="text/plain"):
    last = int(request.query.get("to", ["10"])[0])
    for number in range(1, last + 1):
        yield f"{number}\n"
        await asyncio.sleep(0.1)


@app.route("/table")
async def table(content_type="text/csv", stream=False):
    # With stream=False small pieces are gathered: a hundred thousand yields, few writes.
    for number in range(100_000):
        yield f"{number},{number ** 2}\n"


if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
