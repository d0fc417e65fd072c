"""The faults of HTTP/1: theirs (`ProtocolError`) and the application's (`ResponseError`).

A `ProtocolError` is the only exception that received bytes can cause. It carries what to
answer; the connection is closed after it, because the end of the message is not known.
"""


class ProtocolError(Exception):
    """The client broke HTTP/1 or a limit.

    `status` is the status code to answer with, `reason` one sentence for people and logs,
    which never repeats what the client sent.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


class Truncated(ProtocolError):
    """The connection ended in the middle of a message."""


class ResponseError(RuntimeError):
    """The application used a response in an order or amount that HTTP does not allow."""


class ExcessBody(ResponseError):
    """More body than Content-Length promised.

    `allowed` are the framed bytes that still fit; with them the response is complete.
    """

    def __init__(self, promised: int, allowed: bytes) -> None:
        super().__init__(f"the response body is longer than its Content-Length of {promised}")
        self.allowed = allowed


class ShortBody(ResponseError):
    """Less body than Content-Length promised: the connection must be closed."""

    def __init__(self, promised: int, written: int) -> None:
        super().__init__(
            f"the response body ended after {written} of the {promised} bytes "
            "that its Content-Length promised"
        )
