import requests
import sqlalchemy
import work
from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import PlainTextResponse

engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.NullPool)
app = FastAPI(default_response_class=PlainTextResponse)


@app.get("/ok/{n}")
async def ok(n: int):
    return await work.ok_async(n)


@app.get("/raise/{n}")
def fail(n: int):
    work.fail(n)


@app.get("/thread/{n}")
async def thread(n: int):
    return await work.threaded_async(n)


@app.get("/many/{n}")
def many(n: int):
    with engine.connect() as connection:
        return work.many(n, connection.exec_driver_sql)


@app.get("/later/{n}")
async def later(n: int, tasks: BackgroundTasks):
    tasks.add_task(work.later_async, n)
    return f"now {n}"


@app.get("/out/{n}")
def out(n: int):
    with requests.Session() as session:
        session.trust_env = False
        return f"out {n} {session.get(work.out_url(n)).status_code}"


@app.get("/template/{n}")
def template(n: int):
    return work.template(n)


@app.get("/hooks")
def hooks():
    return work.hooks()


@app.websocket("/socket/{n}")
async def socket(websocket: WebSocket, n: int):
    await websocket.accept()
    work.log.info("socket %d", n)
    await websocket.send_text(f"socket {n}")
    await websocket.close()


router = APIRouter(prefix="/again")


@router.get("/things/{n}")
async def thing(n: int, who: str):
    return f"thing {n} of {who}"


below = APIRouter(prefix="/below/{who}")
below.include_router(router)
app.include_router(below)
