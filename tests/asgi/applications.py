"""Applications that tests of `asgi` serve, and the messages that they send."""

START = {"type": "http.response.start", "status": 200,
         "headers": [(b"content-type", b"text/plain")]}
END = {"type": "http.response.body", "body": b"Hello"}


async def hello(scope, receive, send):
    assert scope["type"] == "http"
    await send(START)
    await send(END)


async def echo(scope, receive, send):
    if scope["type"] != "websocket":
        raise RuntimeError("no lifespan here")
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({**message, "type": "websocket.send"})


class Recorder:
    """An application that accepts and keeps every message and error."""

    def __init__(self, script=None, accept=None):
        self.script = script
        self.accept = accept or {}
        self.messages = []
        self.scope = None
        self.done = False
        self.error = None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "websocket":
            raise RuntimeError("no lifespan here")
        self.scope = scope
        try:
            self.messages.append(await receive())
            if self.script is not None:
                await self.script(self, receive, send)
                return
            await send({"type": "websocket.accept", **self.accept})
            while self.messages[-1]["type"] != "websocket.disconnect":
                self.messages.append(await receive())
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self.done = True

    @property
    def types(self):
        return [message["type"] for message in self.messages]
