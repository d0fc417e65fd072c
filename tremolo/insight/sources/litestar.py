"""Litestar: exceptions, which it always answers for itself. Routes it leaves in the scope."""

import sys

from ..source import Source


def attach(source: Source) -> None:
    middleware = sys.modules["litestar.middleware._internal.exceptions.middleware"]
    handler = middleware.ExceptionHandlerMiddleware
    source.failures(handler, "handle_request_exception", handled=True)
    source.failures(handler, "handle_websocket_exception")
