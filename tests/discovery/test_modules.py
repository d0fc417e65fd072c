"""What a module's source says about the applications in it."""

import textwrap

import pytest

from tremolo.discovery.modules import choose, read_module


def read(folder, source):
    path = folder / "module.py"
    path.write_text(textwrap.dedent(source))
    return read_module(str(path))


def chosen(folder, source):
    return [(found.name, found.framework) for found in choose(read(folder, source).best)]


@pytest.mark.parametrize(("source", "found"), [
    pytest.param("from fastapi import FastAPI\napp = FastAPI()", [("app", "FastAPI")],
                 id="plain"),
    pytest.param("import fastapi as f\nsite: f.FastAPI = f.FastAPI()", [("site", "FastAPI")],
                 id="alias-and-annotation"),
    pytest.param("from fastapi import FastAPI as F\ntry:\n    app = F()\nexcept OSError:\n"
                 "    raise", [("app", "FastAPI")], id="within-try"),
    pytest.param("from flask import Flask\nclass Shop(Flask):\n    pass\nshop = Shop('x')",
                 [("shop", "Flask")], id="subclass"),
    pytest.param("from fastapi import FastAPI\nadmin = FastAPI()\nmain = FastAPI()\n"
                 "main.mount('/admin', admin)", [("main", "FastAPI")], id="mounted"),
    pytest.param("from starlette.applications import Starlette\n"
                 "from starlette.routing import Mount\ninner = Starlette()\n"
                 "outer = Starlette(routes=[Mount('/', app=inner)])", [("outer", "Starlette")],
                 id="mounted-in-a-list"),
    pytest.param("import socketio\nfrom fastapi import FastAPI\napp = FastAPI()\n"
                 "sio = socketio.AsyncServer()\nsocket_app = socketio.ASGIApp(sio, app)",
                 [("socket_app", "Socket.IO")], id="wrapped"),
    pytest.param("from flask import Flask\nfrom werkzeug.middleware.proxy_fix import ProxyFix\n"
                 "app = Flask('x')\napp = ProxyFix(app)", [("app", "Flask")],
                 id="wrapped-under-its-name"),
    pytest.param("from fastapi import FastAPI\nusers = FastAPI()\norders = FastAPI()",
                 [("users", "FastAPI"), ("orders", "FastAPI")], id="several"),
    pytest.param("async def app(scope, receive, send):\n    pass", [("app", "ASGI")], id="asgi"),
    pytest.param("def application(environ, start_response):\n    pass",
                 [("application", "WSGI")], id="wsgi"),
    pytest.param("class Shop:\n    async def __call__(self, scope, receive, send):\n"
                 "        pass\nshop = Shop()", [("shop", "ASGI")], id="asgi-instance"),
    pytest.param("from dash import Dash\napp = Dash('x')", [("app.server", "Dash")], id="dash"),
    pytest.param("from dash import Dash\napp = Dash('x')\nserver = app.server",
                 [("server", "Dash")], id="dash-with-its-server"),
    pytest.param("from fasthtml.common import fast_app\napp, rt = fast_app()",
                 [("app", "FastHTML")], id="tuple"),
    pytest.param("from shop import create_app\napplication = create_app()",
                 [("application", "application")], id="factory-of-another-module"),
    pytest.param("from flask import Flask\ndef create_app():\n    app = Flask('x')\n"
                 "    return app\napp = create_app()", [("app", "Flask")],
                 id="own-factory-called"),
    pytest.param("from pyramid.config import Configurator\nwith Configurator() as config:\n"
                 "    app = config.make_wsgi_app()", [("app", "Pyramid")], id="pyramid"),
    pytest.param("from flask import Flask\nif __name__ == '__main__':\n    app = Flask('x')", [],
                 id="only-in-a-script"),
    pytest.param("from aiohttp import web\napp = web.Application()", [], id="not-asgi"),
    pytest.param("from celery import Celery\napp = Celery()", [], id="celery"),
    pytest.param("def broken(:", None, id="no-python"),
])
def test_applications_are_found_by_reading(tmp_path, source, found):
    if found is None:
        assert read(tmp_path, source) is None
    else:
        assert chosen(tmp_path, source) == found


@pytest.mark.parametrize(("source", "name", "needs"), [
    pytest.param("from flask import Flask\ndef create_app(config=None):\n"
                 "    return Flask('x')", "create_app", (), id="flask"),
    pytest.param("import fastapi\ndef make() -> fastapi.FastAPI:\n    ...", "make", (),
                 id="annotated"),
    pytest.param("from flask import Flask\ndef create_app(config):\n    app = Flask('x')\n"
                 "    return app", "create_app", ("config",), id="needs-an-argument"),
    pytest.param("from shop.base import base_app\ndef create_app():\n    return base_app()",
                 "create_app", (), id="by-its-name"),
])
def test_factories_are_found_with_what_they_need(tmp_path, source, name, needs):
    [factory] = read(tmp_path, source).factories
    assert (factory.name, factory.factory, factory.needs) == (name, True, needs)


def test_a_factory_that_needs_arguments_is_not_taken(tmp_path):
    module = read(tmp_path, "from flask import Flask\ndef create_app(config):\n"
                            "    return Flask('x')")
    assert module.best == []
