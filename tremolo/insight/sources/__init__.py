"""The libraries that are looked into, and which file does it.

Each file has one function, `attach(source)`, called once its library is there.
"""

from typing import Dict

#: the module whose import makes a source useful, and the source's file
SOURCES: Dict[str, str] = {
    "aiohttp.client": "aiohttp",
    "aiosmtplib.smtp": "aiosmtplib",
    "aiosqlite.core": "aiosqlite",
    "arq.connections": "arq",
    "asgiref.sync": "asgiref",
    "asyncpg": "asyncpg",
    "celery.app.task": "celery",
    "django.core.cache": "django_cache",
    "django.core.handlers.base": "django",
    "django.core.mail": "django_mail",
    "django.db.backends.base.base": "django_db",
    "fastapi.routing": "fastapi",
    "flask.app": "flask",
    "httpx": "httpx",
    "litestar.middleware._internal.exceptions.middleware": "litestar",
    "peewee": "peewee",
    "psycopg": "psycopg",
    "psycopg_pool": "psycopg_pool",
    "quart.app": "quart",
    "redis.asyncio.client": "redis",
    "smtplib": "smtplib",
    "sqlalchemy.engine": "sqlalchemy",
    "sqlite3": "sqlite3",
    "starlette.routing": "starlette",
    "threading": "threads",
    "tremolo.app.routing": "native",
    "urllib.request": "urllib",
    "urllib3.connectionpool": "urllib3",
}
