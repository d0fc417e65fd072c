"""Projects as people lay them out, made of small files. Each has a page, a style sheet and a
route that raises."""

import textwrap
from typing import Dict, NamedTuple, Tuple

CSS = "body { color: teal }\n"

FASTAPI = """
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

NAME = FastAPI()
NAME.mount("/static", StaticFiles(directory="FOLDER"), name="static")

@NAME.get("/")
async def index():
    return {"page": "hello"}

@NAME.get("/boom")
async def boom():
    return 1 / 0
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

async def index(request):
    return PlainTextResponse("hello")

async def boom(request):
    return PlainTextResponse(str(1 / 0))

NAME = Starlette(routes=[
    Route("/", index), Route("/boom", boom),
    Mount("/static", StaticFiles(directory="FOLDER"))])
"""

FLASK = """
from flask import Flask

app = Flask(__name__)

@app.get("/")
def index():
    return "hello"

@app.get("/boom")
def boom():
    return str(1 / 0)
"""

FLASK_FACTORY = """
from flask import Flask

def create_app(config=None):
    app = Flask(__name__)
    from . import views
    app.register_blueprint(views.blueprint)
    return app
"""

FLASK_VIEWS = """
from flask import Blueprint

blueprint = Blueprint("views", __name__)

@blueprint.get("/")
def index():
    return "hello"

@blueprint.get("/boom")
def boom():
    return str(1 / 0)
"""

QUART = FLASK.replace("flask", "quart").replace("Flask", "Quart").replace("def ", "async def ")

LITESTAR = """
from litestar import Litestar, get
from litestar.static_files import create_static_files_router

@get("/")
async def index() -> str:
    return "hello"

@get("/boom")
async def boom() -> str:
    return str(1 / 0)

app = Litestar([index, boom, create_static_files_router(path="/static", directories=["static"])])
"""

TREMOLO = """
from tremolo import Application

site = Application()

@site.route("/")
async def index(**server):
    return "hello"

@site.route("/boom")
async def boom(**server):
    return 1 / 0

@site.route("^/static/")
async def static(response=None, **server):
    await response.sendfile("static/site.css")
"""

MANAGE = """
#!/usr/bin/env python
import os
import sys

def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "MODULE_OF_SETTINGS")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)

if __name__ == "__main__":
    main()
"""

SETTINGS = """
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "not secret"
DEBUG = True
ALLOWED_HOSTS = []
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.sessions", "django.contrib.messages",
                  "django.contrib.staticfiles"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
ROOT_URLCONF = "mysite.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
              "OPTIONS": {"context_processors": [
                  "django.template.context_processors.request",
                  "django.contrib.auth.context_processors.auth",
                  "django.contrib.messages.context_processors.messages"]}}]
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
"""

URLS = """
from django.contrib import admin
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls), path("", lambda request: HttpResponse("hello")),
               path("boom", lambda request: 1 / 0)]
"""

GATEWAY = """
import os
from django.core.KIND import get_KIND_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
application = get_KIND_application()
"""

ASGI, WSGI = GATEWAY.replace("KIND", "asgi"), GATEWAY.replace("KIND", "wsgi")
STATIC = {"static/site.css": CSS}
DJANGO = {"mysite/__init__.py": "", "mysite/settings.py": SETTINGS, "mysite/urls.py": URLS,
          "manage.py": MANAGE.replace("MODULE_OF_SETTINGS", "mysite.settings"), **STATIC}
UNIT_TEST = {"tests/__init__.py": "", "tests/conftest.py": "from app.main import app\n",
             "tests/test_main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}
PYPROJECT = '[project]\nname = "shop"\nversion = "1"\n'


def fastapi(name="app", folder="static"):
    return FASTAPI.replace("NAME", name).replace("FOLDER", folder)


class Layout(NamedTuple):
    """`files` by path, what the server says that it found, and how it is started."""

    needs: str
    files: Dict[str, str]
    found: str
    arguments: Tuple[str, ...] = ()
    folder: str = ""
    page: str = "hello"


LAYOUTS = {
    "fastapi-one-file": Layout(
        "fastapi", {"main.py": fastapi(), **STATIC}, "found FastAPI: main.py → main:app"),
    "fastapi-other-names": Layout(
        "fastapi", {"api.py": fastapi("api"), **STATIC}, "found FastAPI: api.py → api:api"),
    "fastapi-cookiecutter": Layout(
        "fastapi", {
            "pyproject.toml": PYPROJECT, "app/__init__.py": "", "app/core/__init__.py": "",
            "app/core/config.py": "TITLE = 'shop'\n", "app/api/__init__.py": "",
            "app/api/main.py": "from fastapi import APIRouter\napi_router = APIRouter()\n",
            "app/main.py": "from app.core.config import TITLE\n" + fastapi(),
            "alembic/env.py": "", **UNIT_TEST, **STATIC},
        "found FastAPI: app/main.py → app.main:app"),
    "fastapi-backend-of-a-monorepo": Layout(
        "fastapi", {
            ".git/HEAD": "", "frontend/package.json": "{}", "backend/pyproject.toml": PYPROJECT,
            "backend/app/__init__.py": "", "backend/app/config.py": "TITLE = 'shop'\n",
            "backend/app/main.py": "from app.config import TITLE\n" + fastapi(),
            "backend/static/site.css": CSS},
        "found FastAPI: backend/app/main.py → app.main:app (in backend)"),
    "fastapi-entrypoint-in-pyproject": Layout(
        "fastapi", {
            "pyproject.toml": PYPROJECT + '[tool.fastapi]\nentrypoint = "shop.web:site"\n',
            "shop/__init__.py": "", "shop/web.py": fastapi("site"),
            "main.py": "from fastapi import FastAPI\napp = FastAPI()\n", **STATIC},
        "found [tool.fastapi] entrypoint in pyproject.toml = shop.web:site → shop.web:site"),
    "fastapi-package-without-init": Layout(
        "fastapi", {
            "requirements.txt": "fastapi\n", "app/words.py": "TITLE = 'shop'\n",
            "app/main.py": "from .words import TITLE\n" + fastapi(), **STATIC},
        "found FastAPI: app/main.py → app.main:app"),
    "fastapi-notebooks-and-mounted-parts": Layout(
        "fastapi", {
            "uv.lock": "", "notebooks/main.py": fastapi(), "examples/main.py": fastapi(),
            "admin.py": "from fastapi import FastAPI\nadmin = FastAPI()\n",
            "main.py": "from admin import admin\n" + fastapi() + "\napp.mount('/admin', admin)\n",
            **STATIC},
        "found FastAPI: main.py → main:app"),
    "fastapi-from-a-subfolder": Layout(
        "fastapi", {
            "pyproject.toml": PYPROJECT, "main.py": fastapi(), "tests/test_main.py": "",
            **STATIC},
        "found FastAPI: main.py → main:app", folder="tests"),
    "src-layout": Layout(
        "starlette", {
            "pyproject.toml": PYPROJECT, "poetry.lock": "", "src/shop/__init__.py": "",
            "src/shop/words.py": "",
            "src/shop/main.py": "from . import words\nfrom shop.words import *\n"
            + STARLETTE.replace("NAME", "app").replace("FOLDER", "static"), **STATIC},
        "found Starlette: src/shop/main.py → shop.main:app"),
    "src-layout-by-its-package": Layout(
        "starlette", {
            "pyproject.toml": PYPROJECT, "src/shop/__init__.py": "",
            "src/shop/server.py": STARLETTE.replace("NAME", "web").replace("FOLDER", "static"),
            **STATIC},
        "found Starlette: src/shop/server.py → shop.server:web", ("src/shop",)),
    "starlette-any-name": Layout(
        "starlette", {"shop.py": STARLETTE.replace("NAME", "shop").replace("FOLDER", "static"),
                      **STATIC},
        "found Starlette: shop.py → shop:shop"),
    "flask-one-file": Layout(
        "flask", {"app.py": FLASK, **STATIC}, "found Flask: app.py → app:app"),
    "flask-factory": Layout(
        "flask", {
            "pyproject.toml": PYPROJECT, "shop/__init__.py": FLASK_FACTORY,
            "shop/views.py": FLASK_VIEWS, "shop/static/site.css": CSS},
        "found Flask: shop/__init__.py → shop:create_app()"),
    "flask-factory-called-by-wsgi": Layout(
        "flask", {
            "shop/__init__.py": FLASK_FACTORY, "shop/views.py": FLASK_VIEWS,
            "wsgi.py": "from shop import create_app\n\napp = create_app()\n",
            "shop/static/site.css": CSS},
        "→ wsgi:app"),
    "flask-flaskenv": Layout(
        "flask", {
            ".flaskenv": "FLASK_APP=shop\n", "shop/__init__.py": FLASK_FACTORY,
            "shop/views.py": FLASK_VIEWS, "shop/static/site.css": CSS,
            "main.py": "print('a script')\n"},
        "found FLASK_APP = shop → shop:create_app()"),
    "quart": Layout("quart", {"app.py": QUART, **STATIC}, "found Quart: app.py → app:app"),
    "litestar": Layout(
        "litestar", {"app.py": LITESTAR, **STATIC}, "found Litestar: app.py → app:app"),
    "tremolo": Layout(
        "tremolo", {"site.py": "", "server.py": TREMOLO, **STATIC},
        "found Tremolo: server.py → server:site"),
    "django-startproject": Layout(
        "django", {**DJANGO, "mysite/asgi.py": ASGI, "mysite/wsgi.py": WSGI},
        "found Django: mysite/settings.py → mysite.asgi:application"),
    "django-wsgi-alone": Layout(
        "django", {**DJANGO, "mysite/wsgi.py": WSGI},
        "found Django: mysite/settings.py → mysite.wsgi:application"),
    "django-without-an-application": Layout(
        "django", {
            **DJANGO, "mysite/settings.py": SETTINGS.replace("WSGI_APPLICATION", "UNUSED")},
        "found Django: mysite/settings.py → django.core.asgi:get_asgi_application()"),
    "django-manage-py": Layout(
        "django", {f"site/{path}": text for path, text in {
            **DJANGO, "mysite/asgi.py": ASGI}.items()},
        "found Django: site/mysite/settings.py → mysite.asgi:application (in site)",
        ("site/manage.py",)),
    "django-split-settings": Layout(
        "django", {
            **DJANGO, "mysite/settings.py": "raise RuntimeError('not these')\n",
            "config/__init__.py": "", "config/settings/__init__.py": "",
            "config/settings/base.py": SETTINGS.replace("parent.parent", "parent.parent.parent"),
            "config/settings/local.py": "from .base import *\n",
            "config/asgi.py": ASGI.replace("mysite.settings", "config.settings.production"),
            "manage.py": MANAGE.replace("MODULE_OF_SETTINGS", "config.settings.local")},
        "found Django: config/settings/local.py → config.asgi:application"),
}


def build(folder, layout):
    """Write the files of a layout into `folder`; the folder to start in."""
    for path, text in layout.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return folder / layout.folder
