"""Templates of real frameworks: what was saved last is what is served."""

import importlib.util
import textwrap

import pytest

pytest.importorskip("httpx")

from tests.frameworks.clients import frameworks
from tests.support.processes import Server, wait_until

pytestmark = frameworks

DJANGO = """
import os
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path

settings.configure(
    DEBUG=DEBUGGING, SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__,
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [FOLDER]}])

def page(request):
    return render(request, "page.html", {})

urlpatterns = [path("", page), path("page.html", page)]
"""
JINJA_ENVIRONMENT = """
import jinja2
environment = jinja2.Environment(LOADER)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    text = environment.get_template("page.html").render()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""
SOURCES = {
    "django-asgi": ("django", DJANGO.replace("DEBUGGING", "False")
                    + "from django.core.asgi import get_asgi_application\n"
                      "app = get_asgi_application()\n"),
    "django-wsgi": ("django", DJANGO.replace("DEBUGGING", "True")
                    + "from django.core.wsgi import get_wsgi_application\n"
                      "app = get_wsgi_application()\n"),
    "flask": ("flask", """
        from flask import Flask, render_template
        app = Flask(__name__, template_folder=FOLDER)

        @app.route("/")
        @app.route("/page.html")
        def page():
            return render_template("page.html")
        """),
    "starlette": ("starlette jinja2", """
        from starlette.applications import Starlette
        from starlette.routing import Route
        from starlette.templating import Jinja2Templates
        templates = Jinja2Templates(FOLDER)

        async def page(request):
            return templates.TemplateResponse(request, "page.html")

        app = Starlette(routes=[Route("/", page), Route("/page.html", page)])
        """),
    "fastapi-in-a-thread": ("fastapi jinja2", """
        from fastapi import FastAPI, Request
        from fastapi.templating import Jinja2Templates
        app = FastAPI()
        templates = Jinja2Templates(directory=FOLDER)

        @app.get("/page.html")
        @app.get("/")
        def page(request: Request):
            return templates.TemplateResponse(request, "page.html")
        """),
    "litestar": ("litestar", """
        from litestar import Litestar, get
        from litestar.contrib.jinja import JinjaTemplateEngine
        from litestar.response import Template
        from litestar.template.config import TemplateConfig

        @get(["/", "/page.html"])
        async def page() -> Template:
            return Template("page.html")

        app = Litestar([page], template_config=TemplateConfig(
            directory=FOLDER, engine=JinjaTemplateEngine))
        """),
    "quart": ("quart", """
        from quart import Quart, render_template
        app = Quart(__name__, template_folder=FOLDER)

        @app.route("/")
        @app.route("/page.html")
        async def page():
            return await render_template("page.html")
        """),
    "jinja-file-system": ("jinja2", JINJA_ENVIRONMENT.replace(
        "LOADER", "loader=jinja2.FileSystemLoader(FOLDER), auto_reload=False")),
    "jinja-kept": ("jinja2", JINJA_ENVIRONMENT.replace(
        "LOADER", "loader=jinja2.FileSystemLoader(FOLDER), auto_reload=False").replace(
            "\nasync def", 'environment.get_template("page.html")\n\nasync def')),
    "mako": ("mako", JINJA_ENVIRONMENT.replace("import jinja2", "import mako.lookup").replace(
        "environment = jinja2.Environment(LOADER)",
        "environment = mako.lookup.TemplateLookup([FOLDER], filesystem_checks=False)")),
    "chameleon": ("chameleon", JINJA_ENVIRONMENT.replace("import jinja2", "import chameleon")
                  .replace("environment = jinja2.Environment(LOADER)",
                           "environment = chameleon.PageTemplateLoader(FOLDER)").replace(
                  'environment.get_template("page.html").render()',
                  'environment["page.html"]()')),
}


def needs(library, value):
    return pytest.param(value, marks=[] if _has(library) else pytest.mark.skip(
        reason=f"{library} is not installed"), id=value)


def _has(libraries):
    """None of them is imported for it: only servers need them."""
    return all(importlib.util.find_spec(library) for library in libraries.split())


@pytest.fixture
def site(tmp_path):
    """Makes the project of one of SOURCES; its folder of templates."""
    def make(name, folder="templates", source=None):
        project = tmp_path / "project"
        project.mkdir()
        templates = (project / folder).resolve()
        templates.mkdir(parents=True)
        (templates / "page.html").write_text("<p>one</p>")
        text = textwrap.dedent(SOURCES[name][1] if source is None else source)
        (project / "main.py").write_text(text.replace("FOLDER", repr(str(templates))))
        return project, templates

    return make


def dev(project):
    return Server(project, "dev", "main:app", "--port", "0")


def reloads(server):
    return [event["files"] for event in server.find("reload", state="ready")][1:]


@pytest.mark.parametrize("name", [needs(library, name)
                                  for name, (library, _) in SOURCES.items()])
def test_an_edited_template_is_what_is_served(site, name):
    project, templates = site(name)
    with dev(project) as server:
        for path in ("/", "/page.html"):
            assert "one" in server.get(path)[1].decode()
        (templates / "page.html").write_text("<p>two</p>")
        server.wait_for("reload", gen=2, state="ready")
        for path in ("/", "/page.html"):
            assert server.get(path)[1].decode().strip() == "<p>two</p>"
        assert reloads(server) == [["templates/page.html"]]


@pytest.mark.parametrize("name", [needs("django", "django-asgi"), needs("flask", "flask"),
                                  needs("jinja2", "jinja-kept")])
def test_a_template_outside_the_project_counts(site, name):
    project, templates = site(name, "../shared/templates")
    with dev(project) as server:
        assert "one" in server.text()
        (templates / "page.html").write_text("<p>two</p>")
        server.wait_for("reload", gen=2, state="ready")
        assert "two" in server.text()


@pytest.mark.parametrize("name", [needs("django", "django-wsgi"), needs("flask", "flask")])
def test_what_a_template_extends_and_includes_counts(site, name):
    project, templates = site(name)
    (templates / "page.html").write_text(
        '{% extends "base.html" %}{% block body %}{% include "parts/row.html" %}{% endblock %}')
    (templates / "base.html").write_text("<b>{% block body %}{% endblock %}</b>")
    (templates / "parts").mkdir()
    (templates / "parts" / "row.html").write_text("row one")
    with dev(project) as server:
        assert server.text() == "<b>row one</b>"
        (templates / "parts" / "row.html").write_text("row two")
        wait_until(lambda: reloads(server) == [["templates/parts/row.html"]], "its reload")
        assert server.text() == "<b>row two</b>"
        (templates / "base.html").write_text("<i>{% block body %}{% endblock %}</i>")
        wait_until(lambda: reloads(server)[1:] == [["templates/base.html"]], "its reload")
        assert server.text() == "<i>row two</i>"


@pytest.mark.parametrize("name", [needs("django", "django-asgi"), needs("flask", "flask")])
def test_a_template_that_was_missing_is_found_when_it_is_there(site, name):
    project, templates = site(name)
    (templates / "page.html").unlink()
    with dev(project) as server:
        assert server.get()[0] == 500
        (templates / "page.html").write_text("<p>here</p>")
        wait_until(lambda: server.get() == (200, b"<p>here</p>"), "the template")


@pytest.mark.parametrize("name", [needs("jinja2", "jinja-file-system")])
def test_a_template_before_the_one_that_was_read_takes_its_place(site, name):
    project, templates = site(name, source=SOURCES[name][1].replace(
        "FileSystemLoader(FOLDER)", "FileSystemLoader([FOLDER + '/own', FOLDER])"))
    with dev(project) as server:
        assert server.text() == "<p>one</p>"
        (templates / "own").mkdir()
        (templates / "own" / "page.html").write_text("<p>own</p>")
        wait_until(lambda: server.text() == "<p>own</p>", "the template that comes first")


@pytest.mark.parametrize("name", [needs("flask", "flask")])
def test_a_touched_template_is_no_change(site, name):
    project, templates = site(name)
    with dev(project) as server:
        assert "one" in server.text()
        (templates / "page.html").touch()
        (templates / "page.html").write_text("<p>one</p>")
        (project / "main.py").write_text((project / "main.py").read_text() + "\n# end\n")
        assert server.wait_for("reload", gen=2, state="ready")["files"] == ["main.py"]
        assert len(reloads(server)) == 1
