"""The shop that the recorded session is of: pages, a search, a cart that breaks, a chat, news."""

import asyncio
import json
import logging

log = logging.getLogger("shop.repo")
ITEMS = {7: {"id": 7, "name": "lamp", "price": 12.5}, 9: {"id": 9, "name": "desk"}}


def total(items):
    return sum(item["price"] * item["qty"] for item in items)


async def answer(send, status, body, media=b"application/json"):
    headers = [(b"content-type", media), (b"set-cookie", b"session=1f3c; HttpOnly")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def news(send):
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(200):
        await send({"type": "http.response.body", "more_body": True,
                    "body": b'data: {"stock": %d}\n\n' % number})
        await asyncio.sleep(0.5)


async def chat(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        said = json.loads(message["text"])
        await send({"type": "websocket.send",
                    "text": json.dumps({"from": "shop", "answer": said["text"].upper()})})


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def body_of(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return await chat(receive, send)
    path = scope["path"]
    if path == "/news":
        await news(send)
    elif path.startswith("/api/items/"):
        item = ITEMS.get(int(path.rpartition("/")[2]))
        log.info("cache %s item=%s", "hit" if item else "miss", path.rpartition("/")[2])
        found = json.dumps(item).encode() if item else b'{"error": "no such item"}'
        await answer(send, 200 if item else 404, found)
    elif path == "/api/search":
        await asyncio.sleep(0.045)
        await answer(send, 200, json.dumps(list(ITEMS.values())).encode())
    elif path == "/api/checkout":
        items = json.loads(await body_of(receive))["items"]
        log.warning("checkout of %d items", len(items))
        await answer(send, 200, json.dumps({"total": total(items)}).encode())
    else:
        await answer(send, 200, b"<h1>The shop</h1>" * 60, b"text/html; charset=utf-8")
