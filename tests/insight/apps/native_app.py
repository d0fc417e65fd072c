import asyncio

import work

from tremolo import Application

app = Application()


def text(path, function):
    @app.route(path)
    async def handler(n, response):
        response.set_content_type("text/plain")
        return await function(int(n))


text(r"^/ok/(?P<n>\d+)$", work.ok_async)
text(r"^/thread/(?P<n>\d+)$", work.threaded_async)
text(r"^/out/(?P<n>\d+)$", work.out_async)


@app.route(r"^/raise/(?P<n>\d+)$")
async def fail(n):
    work.fail(int(n))


@app.route(r"^/many/(?P<n>\d+)$")
def many(n):
    return work.many(int(n))


@app.route(r"^/later/(?P<n>\d+)$")
async def later(n):
    app.tasks = [asyncio.ensure_future(work.later_async(int(n)))]
    return f"now {int(n)}"


@app.route(r"^/template/(?P<n>\d+)$")
def template(n):
    return work.template(int(n))


@app.route(r"^/hooks$")
def hooks():
    return work.hooks()


@app.route(r"^/socket/(?P<n>\d+)$")
async def socket(websocket, n):
    await websocket.accept()
    work.log.info("socket %d", int(n))
    await websocket.send(f"socket {int(n)}")


@app.route(r"^/below/(?P<who>\w+)/again/things/(?P<n>\d+)$")
async def thing(n, who):
    return f"thing {int(n)} of {who.decode()}"
