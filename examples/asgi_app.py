"""A plain ASGI application: no framework, streaming, an echo, an error to look at.

    tremolo dev examples/asgi_app.py        (or: python3 examples/asgi_app.py)
"""

import asyncio
import json


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        handler = ROUTES.get(scope["path"], not_found)
        await handler(scope, receive, send)


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def answer(send, body, status=200, content_type=b"text/plain; charset=utf-8"):
    await send({
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", content_type)],
    })
    await send({"type": "http.response.body", "body": body})


async def index(scope, receive, send):
    await answer(send, b"Hello world!\nTry /slow /stream /echo /error\n")


async def slow(scope, receive, send):
    await asyncio.sleep(0.5)
    await answer(send, json.dumps({"slept": 0.5}).encode(), content_type=b"application/json")


async def stream(scope, receive, send):
    await send({
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"text/plain; charset=utf-8")],
    })
    for number in range(10):
        await send({
            "type": "http.response.body",
            "body": b"line %d\n" % number,
            "more_body": True,
        })
        await asyncio.sleep(0.2)
    await send({"type": "http.response.body", "body": b""})


async def echo(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
        await send({
            "type": "http.response.body",
            "body": message.get("body", b""),
            "more_body": more,
        })


async def error(scope, receive, send):
    total = {"items": 3}
    await answer(send, str(total["price"]).encode())


async def not_found(scope, receive, send):
    await answer(send, b"Not Found\n", status=404)


ROUTES = {"/": index, "/slow": slow, "/stream": stream, "/echo": echo, "/error": error}

if __name__ == "__main__":
    import tremolo

    tremolo.run(app, port=8000)
