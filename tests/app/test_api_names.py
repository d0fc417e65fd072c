"""The names of docs/api.md, row by row: each exists, and takes what its row says with the
defaults that it says. What they do is tested in the other modules of this folder (README.md)."""

import asyncio
import importlib
import inspect

import pytest

import tremolo
from tests.app.serving import get, handler
from tremolo import Application, Tremolo, exceptions
from tremolo.app.locks import Lock
from tremolo.app.request import Request
from tremolo.app.response import Response
from tremolo.app.sse import EventStream
from tremolo.app.threads import Executor
from tremolo.app.websocket import WebSocket
from tremolo.config import OPTIONS, Settings

EMPTY = inspect.Parameter.empty


def takes(func, row):
    """Whether `func` can be called as its row of docs/api.md says."""
    names = {}
    namespace = {}
    exec(f"def row({row}): pass", namespace)
    mine = inspect.signature(func).parameters
    for name, parameter in inspect.signature(namespace["row"]).parameters.items():
        names[name] = parameter.default
        if parameter.kind is parameter.VAR_KEYWORD:
            assert any(p.kind is p.VAR_KEYWORD for p in mine.values()), f"no **{name}"
        elif parameter.kind is parameter.VAR_POSITIONAL:
            assert any(p.kind is p.VAR_POSITIONAL for p in mine.values()), f"no *{name}"
        else:
            assert name in mine, f"no parameter {name}"
            if parameter.kind is not parameter.KEYWORD_ONLY:
                positions = [n for n, p in mine.items() if p.kind is not p.KEYWORD_ONLY]
                assert name in positions, f"{name} only by keyword"
            if parameter.default is not EMPTY and parameter.default is not ...:
                assert mine[name].default == parameter.default, name
            elif parameter.default is ...:
                assert mine[name].default is not EMPTY, f"{name} has no default"
    positional = [n for n, p in inspect.signature(namespace["row"]).parameters.items()
                  if p.kind is p.POSITIONAL_OR_KEYWORD]
    order = [n for n in mine if n in positional]
    assert order == positional
    for name, parameter in mine.items():
        if parameter.default is EMPTY and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert name in names, f"{name} is not in the row but has no default"


ROWS = [  # `...` is a default that this project decided otherwise, or that is no constant
    (Tremolo, "route", "path, **options"),
    (Tremolo, "add_route", "func, path='/', **options"),
    (Tremolo, "error", "code, func=None"),
    (Tremolo, "hook", "name, *args, priority=999"),
    (Tremolo, "on_worker_start", "*args, priority=999"),
    (Tremolo, "on_worker_stop", "*args, priority=999"),
    (Tremolo, "on_connect", "*args, priority=999"),
    (Tremolo, "on_close", "*args, priority=999"),
    (Tremolo, "add_hook", "func, name='worker_start', priority=999"),
    (Tremolo, "middleware", "name, *args, priority=999"),
    (Tremolo, "on_request", "*args, priority=999"),
    (Tremolo, "on_response", "*args, priority=999"),
    (Tremolo, "add_middleware",
     "func, name='request', priority=999, *, kwargs=None, prefix=()"),
    (Tremolo, "listen", "port, host=None, **options"),
    (Tremolo, "mount", "prefix, app"),
    (Tremolo, "run", "host=None, port=0, *, worker_num=1, **options"),
    (Tremolo, "create_task", "coro"),
    (Tremolo, "add_task", "task"),
    (Tremolo, "serve", "host, port, *, sock=None, backlog=100, **options"),
    (Tremolo, "create_sock", "host, port, reuse_port=True"),
    (Tremolo, "close_sock", "sock"),
    (Request, "body", "timeout=None, raw=False"),
    (Request, "stream", "timeout=None, raw=False"),
    (Request, "read", "size=-1, *, timeout=None"),
    (Request, "recv", "size=-1, *, timeout=None, raw=True"),
    (Request, "eof", ""),
    (Request, "form", "max_fields=100, *, max_size=8388608"),
    (Request, "files", "max_files=1024, *, max_file_size=104857600"),
    (Request, "uid", "length=32, *, ts_offset=0"),
    (Request, "clear", ""),
    (Request, "handler_exit", ""),
    (Request, "create_response", ""),
    (Request, "accept", ""),
    (Response, "headers_sent", ""),
    (Response, "append_header", "name, value"),
    (Response, "set_header", "name, value=..."),
    (Response, "set_cookie", "name, value='', *, expires=0, path='/', domain=None, "
     "secure=False, httponly=False, samesite=None"),
    (Response, "set_status", "status=200, message=..."),
    (Response, "get_status", ""),
    (Response, "set_content_type", "content_type=b'text/html; charset=utf-8'"),
    (Response, "set_base_headers", ""),
    (Response, "write", "data=None, *, chunked=None, buffer_size=..., rate=..., "
     "buffer_min_size=None"),
    (Response, "end", "data=b'', *, keepalive=True, **options"),
    (Response, "send", "data, rate=-1, buffer_size=16384, buffer_min_size=None"),
    (Response, "send_nowait", "data"),
    (Response, "close", "keepalive=False"),
    (Response, "sendfile", "path, offset=0, count=-1, buffer_size=16384, content_type=..., "
     "executor=None, **options"),
    (Response, "redirect", "url, code=None"),
    (Lock, "__call__", "number=0"),
    (Lock, "acquire", "timeout=None"),
    (Lock, "release", ""),
    (Executor, "submit", "func, args=(), kwargs=..., name=None"),
    (WebSocket, "accept", ""),
    (WebSocket, "receive", "timeout=None"),
    (WebSocket, "recv", "timeout=None"),
    (WebSocket, "send", "data, fin=1, opcode=None"),
    (WebSocket, "ping", "data=b''"),
    (WebSocket, "pong", "data=b''"),
    (WebSocket, "close", "code=1000, *, timeout=None"),
    (WebSocket, "create_frame", "payload, fin=1, opcode=None, mask=False"),
    (EventStream, "send", "data, event=None, event_id=None, retry=0"),
    (EventStream, "close", ""),
]


@pytest.mark.parametrize("owner, name, row", [
    pytest.param(*row, id=f"{row[0].__name__}.{row[1]}") for row in ROWS])
def test_method(owner, name, row):
    takes(getattr(owner, name), f"self, {row}" if name != "create_frame" else row)


@pytest.mark.parametrize("name, kind", [
    ("logger", "Logger"), ("context", "WorkerContext"), ("manager", "NoneType"),
    ("routes", "Routes"), ("middlewares", "dict"), ("hooks", "dict"), ("ports", "dict")])
def test_attribute_of_the_application(name, kind):
    assert type(getattr(Tremolo(), name)).__name__ == kind


def test_the_layout_of_middlewares_and_hooks():
    app = Tremolo()
    assert app.middlewares == {(): {"request": [], "response": []}}
    assert app.hooks == {"worker_start": [], "worker_stop": [], "connect": [], "close": []}


def test_the_loop_of_the_application_is_the_current_one():
    async def main():
        return Tremolo().loop is asyncio.get_running_loop()

    assert asyncio.run(main())


def test_a_name_is_that_of_the_logger():
    assert Tremolo("shop").logger.name == "shop"


@pytest.mark.parametrize("name", ["Tremolo", "Application", "run", "__version__"])
def test_import_from_the_package(name):
    assert getattr(tremolo, name) is not None
    assert Application is Tremolo and isinstance(tremolo.__version__, str)


def test_import_from_the_module_of_earlier_versions():
    module = importlib.import_module("tremolo.tremolo")
    assert module.__version__ == tremolo.__version__ and module.Tremolo is Tremolo


@pytest.mark.parametrize("name", ["line", "content_type", "http_chunked", "request", "headers"])
def test_attribute_of_the_response(name):
    async def show(response):
        return repr(getattr(response, name))

    text = get(handler(show), "/").text
    shown = {"line": "b'HTTP/1.1 200 OK'", "content_type": "b'text/html; charset=utf-8'",
             "http_chunked": "False", "request": "<Request GET />",
             "headers": "{b'content-type': [b'text/html; charset=utf-8']}"}
    assert text == shown[name]


@pytest.mark.parametrize("name", ["options", "globals", "context", "loop", "queue",
                                  "create_task", "add_close_callback", "close"])
def test_attribute_of_the_protocol(name):
    async def show(request):
        return str(hasattr(request.protocol, name) and request.server is request.protocol)

    assert get(handler(show), "/").text == "True"


@pytest.mark.parametrize("name", ["request", "response", "max_payload_size", "ping_interval",
                                  "fin", "opcode"])
def test_attribute_of_the_websocket(name):
    from tests.app.test_websocket import talk

    async def show(websocket=None):
        await websocket.send(str(getattr(websocket, name) is not None))

    async def scenario(websocket, client):
        return await websocket.receive()

    assert talk(show, scenario) == "True"


EXCEPTIONS = {
    "HTTPException": 500, "HTTPRedirect": 302, "BadRequest": 400, "Unauthorized": 401,
    "Forbidden": 403, "NotFound": 404, "MethodNotAllowed": 405, "RequestTimeout": 408,
    "PreconditionFailed": 412, "PayloadTooLarge": 413, "RangeNotSatisfiable": 416,
    "ExpectationFailed": 417, "TooManyRequests": 429, "InternalServerError": 500,
    "ServiceUnavailable": 503,
}
CLOSURES = {"WebSocketException": 1011, "WebSocketClientClosed": 1005,
            "WebSocketServerClosed": 1011}


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exception(name):
    kind = getattr(exceptions, name)
    assert kind.code == EXCEPTIONS[name] and issubclass(kind, exceptions.TremoloException)
    assert kind.message and issubclass(kind, exceptions.HTTPException)
    assert str(kind("a", 1)) == "a 1" and str(kind()) == kind.message
    assert kind(code=599).code == 599


@pytest.mark.parametrize("name", CLOSURES)
def test_websocket_exception(name):
    kind = getattr(exceptions, name)
    assert kind.code == CLOSURES[name] and kind("x", code=3000).code == 3000
    assert issubclass(kind, exceptions.TremoloException)


def test_http_exception_from_a_cause():
    known = exceptions.NotFound()
    assert exceptions.HTTPException(cause=known) is known
    slow = exceptions.HTTPException(cause=TimeoutError())
    assert type(slow) is exceptions.RequestTimeout
    cause = ValueError("x")
    other = exceptions.HTTPException(cause=cause)
    assert type(other) is exceptions.InternalServerError and other.__cause__ is cause
    assert exceptions.NotFound(retry_after=5).options == {"retry_after": 5}
    assert exceptions.NotFound(content_type="text/plain; charset=latin-1").encoding == "latin-1"


@pytest.mark.parametrize("name, base", [
    ("ASGIConnectionError", OSError), ("ASGIException", Exception), ("LifespanError", Exception),
    ("LifespanProtocolUnsupported", Exception)])
def test_other_exception(name, base):
    assert issubclass(getattr(exceptions, name), base)


#: key of run() -> flag and default; None: decided otherwise
SETTINGS = {
    "host": ("--host", "127.0.0.1"), "port": ("--port", 8000), "bind": ("--bind", ""),
    "reuse_port": (None, True), "worker_num": ("--worker-num", 1),
    "thread_pool_size": ("--thread-pool-size", 5), "limit_memory": ("--limit-memory", 0),
    "backlog": ("--backlog", ...), "ssl": (None, None), "ssl_cert": ("--ssl-cert", ""),
    "ssl_key": ("--ssl-key", ""), "debug": ("--debug", False),
    "experimental": ("--experimental", False), "reload": ("--reload", False),
    "ws": ("--no-ws", True), "ws_max_payload_size": ("--ws-max-payload-size", 2097152),
    "log_level": ("--log-level", ...),
    "log_fmt": ("--log-fmt", "[%(asctime)s] %(module)s: %(levelname)s: %(message)s"),
    "loop": ("--loop", ...), "download_rate": ("--download-rate", 0),
    "upload_rate": ("--upload-rate", 0), "buffer_size": ("--buffer-size", 16384),
    "client_max_body_size": ("--client-max-body-size", ...),
    "client_max_header_size": ("--client-max-header-size", ...),
    "max_queue_size": ("--max-queue-size", 128), "request_timeout": ("--request-timeout", ...),
    "keepalive_timeout": ("--keepalive-timeout", ...),
    "keepalive_connections": ("--keepalive-connections", 512),
    "app_handler_timeout": ("--app-handler-timeout", ...),
    "app_close_timeout": ("--app-close-timeout", 30),
    "shutdown_timeout": ("--shutdown-timeout", ...), "server_name": ("--server-name", "Tremolo"),
    "root_path": ("--root-path", ""),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_setting(name):
    flag, default = SETTINGS[name]
    option = next(option for option in OPTIONS if option.name == name)
    assert flag is None or flag in option.flags
    assert default is ... or getattr(Settings(), name) == default


def test_other_keywords_of_run_are_kept():
    async def show(globals):
        return globals.options["mine"]

    assert get(handler(show), "/", mine="kept").text == "kept"
