import work
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute


def text(function):
    async def endpoint(request):
        return PlainTextResponse(await function(request.path_params["n"]))
    endpoint.__name__ = function.__name__
    return endpoint


async def fail(request):
    work.fail(request.path_params["n"])


def many(request):
    return PlainTextResponse(work.many(request.path_params["n"]))


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
    Route("/out/{n:int}", text(work.out_async)),
    WebSocketRoute("/socket/{n:int}", socket),
    Mount("/below/{who}", routes=[Mount("/again", routes=[Route("/things/{n:int}", thing)])]),
])
