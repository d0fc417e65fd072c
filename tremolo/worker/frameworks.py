"""In development an application behaves as under its framework's own development server.

Looks only at what the application has imported already; imports a framework's modules, but
never a framework that the application does not use.
"""

import importlib
import io
import sys
import threading
from typing import Any, Awaitable, Callable, Dict, List, Mapping, Optional

from ..config import Settings

Message = Dict[str, Any]
#: what Starlette, and others after it, answer when they re-raise an exception
BARE = b"Internal Server Error"


def as_in_development(kind: str, application: Any, start: Mapping[str, Any],
                      settings: Settings) -> Any:
    """`application` with what its own development server adds: Django's static files (those of
    its admin too), and an error page in place of a bare text."""
    if not start.get("dev"):
        return application
    if kind in ("asgi", "wsgi") and _is_django(application, start):
        application = _with_static_files(kind, application)
    if kind == "asgi" and settings.debug:
        application = WithoutBareErrors(application)
    return application


class WithoutBareErrors:
    """Keeps a bare 500 back until the application has ended. If it ends with the exception that
    the 500 is about, the server answers in its place, with a page about it."""

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self.application = application

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]],
                       send: Callable[[Message], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        kept: List[Message] = []

        async def send_later(message: Message) -> None:
            if kept:
                bare = len(kept) == 1 and message.get("body") == BARE and (
                    not message.get("more_body"))
                kept.append(message)
                if not bare:
                    await send_kept()
            elif message["type"] == "http.response.start" and message.get("status") == 500:
                kept.append(message)
            else:
                await send(message)

        async def send_kept() -> None:
            messages = [*kept]
            kept.clear()
            for message in messages:
                await send(message)

        await self.application(scope, receive, send_later)
        await send_kept()


# -- Django ------------------------------------------------------------------------------


def _is_django(application: Any, start: Mapping[str, Any]) -> bool:
    """Whether it is Django's own handler, or whatever a Django project names as its own."""
    if "django.conf" not in sys.modules:
        return False
    return (type(application).__module__.startswith(("django.", "channels."))
            or "DJANGO_SETTINGS_MODULE" in start["app"].get("environ", {}))


def takes_websockets(kind: str, application: Any) -> bool:
    """Whether an application may answer WebSockets: those of WSGI and Django's own do not."""
    if isinstance(application, WithoutBareErrors):
        application = application.application
    return kind != "wsgi" and not type(application).__module__.startswith("django.")


def _with_static_files(kind: str, application: Any) -> Any:
    apps, settings = _module("django.apps").apps, _module("django.conf").settings
    if not (settings.configured and settings.DEBUG and apps.ready and settings.STATIC_URL
            and apps.is_installed("django.contrib.staticfiles")
            and not apps.is_installed("whitenoise.runserver_nostatic")):
        return application
    handlers = _module("django.contrib.staticfiles.handlers")
    if isinstance(application, handlers.StaticFilesHandlerMixin):
        return application
    wrapper = (handlers.ASGIStaticFilesHandler if kind == "asgi"
               else handlers.StaticFilesHandler)
    return wrapper(application)


def check(start: Mapping[str, Any], warn: Callable[[str], object]) -> None:
    """Run Django's system checks, as `runserver` does before it serves. `warn` is given the
    warnings. Raises Django's SystemCheckError when there are errors: the code cannot serve."""
    if not start.get("dev") or start.get("slot") or "fallback" in start["app"] \
            or "django.apps" not in sys.modules or not _module("django.apps").apps.ready:
        return
    printed = io.StringIO()
    base = _module("django.core.management.base")
    base.BaseCommand(stderr=printed, no_color=True).check()
    if printed.getvalue().strip():
        warn(printed.getvalue().strip())


def advise(start: Mapping[str, Any], warn: Callable[[str], object]) -> None:
    """Look for what the framework's own server would warn of at its start, in a thread; `warn`
    is called in that thread."""
    if not start.get("dev") or start.get("gen") != 1 or "fallback" in start["app"] \
            or "django.db" not in sys.modules:
        return

    def look() -> None:
        found = unapplied_migrations()
        if found:
            warn(found)

    threading.Thread(target=look, name="tremolo-advice", daemon=True).start()


def unapplied_migrations() -> Optional[str]:
    """A sentence about migrations that are not applied; None if there are none, or no database
    to ask."""
    try:
        if not (_module("django.apps").apps.ready and _module("django.conf").settings.DATABASES):
            return None
        connection = _module("django.db").connection
        try:
            executor = _module("django.db.migrations.executor").MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        finally:
            connection.close()
    except Exception:
        return None  # the application will fail as soon as it wants the database
    if not plan:
        return None
    names = sorted({migration.app_label for migration, _ in plan})
    count = f"{len(plan)} migration{'s' if len(plan) > 1 else ''}"
    return (f"{count} not applied ({', '.join(names)}): the database may not fit the code. "
            'Run "python manage.py migrate"')


def _module(name: str) -> Any:
    return importlib.import_module(name)
