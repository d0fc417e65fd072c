import work
from litestar import Litestar, MediaType, Router, WebSocket, get, websocket
from litestar.background_tasks import BackgroundTask
from litestar.response import Response


@get("/ok/{n:int}", media_type=MediaType.TEXT)
async def ok(n: int) -> str:
    return await work.ok_async(n)


@get("/raise/{n:int}", media_type=MediaType.TEXT)
async def fail(n: int) -> str:
    work.fail(n)
    return ""


@get("/thread/{n:int}", media_type=MediaType.TEXT)
async def thread(n: int) -> str:
    return await work.threaded_async(n)


@get("/many/{n:int}", media_type=MediaType.TEXT)
async def many(n: int) -> str:
    return await work.many_aiosqlite(n)


@get("/template/{n:int}", media_type=MediaType.TEXT, sync_to_thread=True)
def template(n: int) -> str:
    return work.template(n)


@get("/hooks", media_type=MediaType.TEXT, sync_to_thread=True)
def hooks() -> str:
    return work.hooks()


@get("/later/{n:int}", media_type=MediaType.TEXT)
async def later(n: int) -> Response[str]:
    return Response(f"now {n}", background=BackgroundTask(work.later_async, n))


@get("/out/{n:int}", media_type=MediaType.TEXT)
async def out(n: int) -> str:
    return await work.out_async(n)


@websocket("/socket/{n:int}")
async def socket(socket: WebSocket, n: int) -> None:
    await socket.accept()
    work.log.info("socket %d", n)
    await socket.send_text(f"socket {n}")
    await socket.close()


@get("/things/{n:int}", media_type=MediaType.TEXT)
async def thing(n: int, who: str) -> str:
    return f"thing {n} of {who}"


app = Litestar([ok, fail, thread, many, later, out, template, hooks, socket, Router(
    "/below/{who:str}", route_handlers=[Router("/again", route_handlers=[thing])])])
