"""The libraries that are looked into, and which file does it.

Each file has one function, `attach(source)`, called once its library is there.
"""

from typing import Dict

#: the module whose import makes a source useful, and the source's file
SOURCES: Dict[str, str] = {
    "django.core.handlers.base": "django",
    "fastapi.routing": "fastapi",
    "flask.app": "flask",
    "litestar.middleware._internal.exceptions.middleware": "litestar",
    "quart.app": "quart",
    "starlette.routing": "starlette",
    "threading": "threads",
    "tremolo.app.routing": "native",
}
