import httpx
import jinja2
import work
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.templating import Jinja2Templates

engine = create_async_engine("sqlite+aiosqlite://")
templates = Jinja2Templates(env=jinja2.Environment(
    loader=jinja2.DictLoader({"page.html": work.TEMPLATE})))


def text(function):
    async def endpoint(request):
        return PlainTextResponse(await function(request.path_params["n"]))
    endpoint.__name__ = function.__name__
    return endpoint


async def fail(request):
    work.fail(request.path_params["n"])


async def many(request):
    n = request.path_params["n"]
    async with engine.connect() as connection:
        async def fetch(text, row=()):
            return (await connection.exec_driver_sql(text, row)).fetchall()

        return PlainTextResponse(await work.many_async(n, fetch))


async def out(n):
    async with httpx.AsyncClient(trust_env=False) as client:
        return f"out {n} {(await client.get(work.out_url(n))).status_code}"


async def template(request):
    return templates.TemplateResponse(
        request, "page.html", {"n": request.path_params["n"], "noted": work.noted})


async def hooks(request):
    return PlainTextResponse(work.hooks())


async def later(request):
    n = request.path_params["n"]
    return PlainTextResponse(f"now {n}", background=BackgroundTask(work.later_async, n))


async def socket(websocket):
    await websocket.accept()
    n = websocket.path_params["n"]
    work.log.info("socket %d", n)
    await websocket.send_text(f"socket {n}")
    await websocket.close()


async def thing(request):
    return PlainTextResponse(f"thing {request.path_params['n']} of {request.path_params['who']}")


app = Starlette(routes=[
    Route("/ok/{n:int}", text(work.ok_async)),
    Route("/raise/{n:int}", fail),
    Route("/thread/{n:int}", text(work.threaded_async)),
    Route("/many/{n:int}", many),
    Route("/later/{n:int}", later),
    Route("/out/{n:int}", text(out)),
    Route("/template/{n:int}", template),
    Route("/hooks", hooks),
    WebSocketRoute("/socket/{n:int}", socket),
    Mount("/below/{who}", routes=[Mount("/again", routes=[Route("/things/{n:int}", thing)])]),
])
