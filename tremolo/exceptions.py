"""The exceptions that users raise and catch, and that show whose fault an error is.

A leaf: imports nothing of Tremolo. The class decides the answer and the log level,
never the message's text: `HTTPException` below 500 is the client's fault, at and above 500
the application's; `ClientDisconnected` is nobody's.
"""

from typing import Any, Optional, Union

Text = Union[str, bytes]


class TremoloException(Exception):
    """Base class of all exceptions that Tremolo defines for its users."""


class ConfigurationError(TremoloException):
    """A setting, an address or an APP that cannot be used; the text is one clear line."""


class CommandError(TremoloException):
    """A command to a running server that cannot be carried out; the text is why."""


class ClientDisconnected(ConnectionError):
    """The peer is gone: nothing can be read from it or sent to it any more."""


class HTTPException(TremoloException):
    """An error that becomes a response.

    `args` joined by spaces are the body, else `message`. `code` is the status, `message` the
    reason phrase, `content_type` the body's type; any other keyword becomes a response header
    (`retry_after=5` is `retry-after: 5`).

    `HTTPException(cause=e)` turns any exception into one of these: an HTTPException is
    returned itself, a `TimeoutError` becomes `RequestTimeout`, others `InternalServerError`
    with `e` as `__cause__`.
    """

    code = 500
    message = "Internal Server Error"
    content_type: Text = "text/html; charset=utf-8"

    def __new__(
        cls, *args: Any, cause: Optional[BaseException] = None, **kwargs: Any
    ) -> "HTTPException":
        if cause is not None:
            if isinstance(cause, HTTPException):
                return cause
            if cls is HTTPException:
                kind = RequestTimeout if _is_timeout(cause) else InternalServerError
                exc = Exception.__new__(kind, *args)
                kind.__init__(exc, *args, cause=cause, **kwargs)
                return exc
        return super().__new__(cls, *args)

    def __init__(
        self,
        *args: Any,
        code: Optional[int] = None,
        message: Optional[Text] = None,
        content_type: Optional[Text] = None,
        cause: Optional[BaseException] = None,
        **options: Any,
    ) -> None:
        if cause is self or (cause is not None and self.__cause__ is cause):
            return
        super().__init__(*args)
        if code is not None:
            self.code = code
        if message is not None:
            self.message = message if isinstance(message, str) else message.decode("latin-1")
        if content_type is not None:
            self.content_type = content_type
        if cause is not None:
            self.__cause__ = cause
        self.options = options

    @property
    def encoding(self) -> str:
        """The charset named in `content_type`, else utf-8."""
        content_type = self.content_type
        if isinstance(content_type, bytes):
            content_type = content_type.decode("latin-1")
        _, found, charset = content_type.lower().partition("charset=")
        return charset.split(";")[0].strip(" \"'") if found else "utf-8"

    def __str__(self) -> str:
        return " ".join(str(arg) for arg in self.args) or self.message


def _is_timeout(exc: BaseException) -> bool:
    import asyncio  # deferred: a different class from TimeoutError only before Python 3.11

    return isinstance(exc, (TimeoutError, asyncio.TimeoutError))


class HTTPRedirect(HTTPException):
    code = 302
    message = "Found"


class BadRequest(HTTPException):
    code = 400
    message = "Bad Request"


class Unauthorized(HTTPException):
    code = 401
    message = "Unauthorized"


class Forbidden(HTTPException):
    code = 403
    message = "Forbidden"


class NotFound(HTTPException):
    code = 404
    message = "Not Found"


class MethodNotAllowed(HTTPException):
    code = 405
    message = "Method Not Allowed"


class RequestTimeout(HTTPException):
    code = 408
    message = "Request Timeout"


class PreconditionFailed(HTTPException):
    code = 412
    message = "Precondition Failed"


class PayloadTooLarge(HTTPException):
    code = 413
    message = "Payload Too Large"


class UnsupportedMediaType(HTTPException):
    code = 415
    message = "Unsupported Media Type"


class RangeNotSatisfiable(HTTPException):
    code = 416
    message = "Range Not Satisfiable"


class ExpectationFailed(HTTPException):
    code = 417
    message = "Expectation Failed"


class TooManyRequests(HTTPException):
    code = 429
    message = "Too Many Requests"


class InternalServerError(HTTPException):
    code = 500
    message = "Internal Server Error"


class ServiceUnavailable(HTTPException):
    code = 503
    message = "Service Unavailable"


class InsufficientStorage(HTTPException):
    code = 507
    message = "Insufficient Storage"


class WebSocketException(TremoloException):
    """A WebSocket that ended; `code` is the close code of RFC 6455 section 7.4."""

    code = 1011

    def __init__(self, *args: Any, code: Optional[int] = None) -> None:
        super().__init__(*args)
        if code is not None:
            self.code = code


class WebSocketClientClosed(WebSocketException):
    code = 1005


class WebSocketServerClosed(WebSocketException):
    code = 1011


class ASGIConnectionError(OSError):
    """Raised by `send()` once the client is gone (ASGI specification 2.4)."""


class ASGIException(TremoloException):
    """An ASGI application broke the specification."""


class LifespanError(ASGIException):
    """The application's lifespan startup or shutdown failed."""


class LifespanProtocolUnsupported(ASGIException):
    """The application has no lifespan protocol."""
