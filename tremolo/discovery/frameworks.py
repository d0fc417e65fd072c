"""What makes an application, by the names that frameworks give it. A table."""

import re
from typing import Dict, FrozenSet, NamedTuple, Optional


class Framework(NamedTuple):
    """How a framework is called in messages, and what of its package makes applications."""

    title: str
    makers: FrozenSet[str]


def _f(title: str, *makers: str) -> Framework:
    return Framework(title, frozenset(makers or (title,)))


#: by the package that the maker is imported from
FRAMEWORKS: Dict[str, Framework] = {
    "tremolo": _f("Tremolo", "Tremolo", "Application"),
    "fastapi": _f("FastAPI"),
    "starlette": _f("Starlette"),
    "litestar": _f("Litestar"),
    "quart": _f("Quart"),
    "flask": _f("Flask"),
    "apiflask": _f("APIFlask"),
    "flask_openapi3": _f("Flask", "OpenAPI"),
    "django": _f("Django", "get_asgi_application", "get_wsgi_application",
                 "get_default_application", "ASGIHandler", "WSGIHandler"),
    "channels": _f("Channels", "ProtocolTypeRouter", "get_default_application"),
    "falcon": _f("Falcon", "App", "API"),
    "bottle": _f("Bottle", "Bottle", "default_app"),
    "sanic": _f("Sanic"),
    "connexion": _f("Connexion", "App", "FlaskApp", "AsyncApp", "AioHttpApp"),
    "blacksheep": _f("BlackSheep", "Application"),
    "fasthtml": _f("FastHTML", "FastHTML", "fast_app"),
    "esmerald": _f("Esmerald", "Esmerald", "Gateway"),
    "ravyn": _f("Ravyn"),
    "lilya": _f("Lilya"),
    "responder": _f("Responder", "API"),
    "emmett": _f("Emmett", "App"),
    "microdot": _f("Microdot"),
    "dash": _f("Dash"),
    "socketio": _f("Socket.IO", "ASGIApp", "WSGIApp"),
    "engineio": _f("Engine.IO", "ASGIApp", "WSGIApp"),
    "strawberry": _f("Strawberry", "GraphQL"),
    "ariadne": _f("Ariadne", "GraphQL"),
    "asgiref": _f("ASGI", "WsgiToAsgi"),
    "a2wsgi": _f("ASGI", "WSGIMiddleware"),
    "werkzeug": _f("WSGI", "DispatcherMiddleware"),
    "whitenoise": _f("WSGI", "WhiteNoise"),
}

#: methods that give an application, whatever they are called on
METHODS = {"make_wsgi_app": "Pyramid", "http_app": "FastMCP", "streamable_http_app": "FastMCP",
           "sse_app": "FastMCP"}

#: what is in each file that makes an application, unless it leaves that to another file
HINT = re.compile(rb"\b(%s|scope|environ)\b" % b"|".join(
    name.encode() for name in (*FRAMEWORKS, *METHODS)))


def framework_of(origin: str) -> Optional[str]:
    """The title of the framework whose maker has the dotted name `origin`."""
    package, _, rest = origin.partition(".")
    framework = FRAMEWORKS.get(package)
    if framework is None or rest.rpartition(".")[2] not in framework.makers:
        return None
    return framework.title
