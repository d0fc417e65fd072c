import aiohttp
import work
from quart import Blueprint, Quart, render_template_string, websocket

app = Quart(__name__)


@app.get("/ok/<int:n>")
async def ok(n):
    return await work.ok_async(n)


@app.get("/raise/<int:n>")
async def fail(n):
    work.fail(n)


@app.get("/thread/<int:n>")
async def thread(n):
    return await work.threaded_async(n)


@app.get("/many/<int:n>")
async def many(n):
    return await work.many_aiosqlite(n)


@app.get("/later/<int:n>")
async def later(n):
    app.add_background_task(work.later_async, n)
    return f"now {n}"


@app.get("/out/<int:n>")
async def out(n):
    async with aiohttp.ClientSession() as session, session.get(work.out_url(n)) as answer:
        return f"out {n} {answer.status}"


@app.get("/template/<int:n>")
async def template(n):
    return await render_template_string(work.TEMPLATE, n=n, noted=work.noted)


@app.get("/hooks")
def hooks():
    return work.hooks()


@app.websocket("/socket/<int:n>")
async def socket(n):
    await websocket.accept()
    work.log.info("socket %d", n)
    await websocket.send(f"socket {n}")
    await websocket.close(1000)


again = Blueprint("again", __name__, url_prefix="/again")


@again.get("/things/<int:n>")
async def thing(n, who):
    return f"thing {n} of {who}"


below = Blueprint("below", __name__, url_prefix="/below/<who>")
below.register_blueprint(again)
app.register_blueprint(below)
