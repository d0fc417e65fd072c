"""What the engine tells: one class an event, and the error of asking it the impossible.

Plain records without behaviour; they know nothing of frames or of the engine's state.
"""

from typing import Union


class Message:
    """A whole message; `data` is `str` for a text message, `bytes` for a binary one."""

    __slots__ = ("data",)

    def __init__(self, data: Union[str, bytes]) -> None:
        self.data = data

    @property
    def text(self) -> bool:
        return type(self.data) is str

    def __repr__(self) -> str:
        return f"Message({self.data!r})"


class Fragment:
    """The payload of one data frame, for engines made with `fragments=True`.

    `opcode` is that of the frame: TEXT or BINARY for the first of a message, CONTINUATION
    for the others; `fin` is true for the last. `data` of a text message is checked to be UTF-8
    over the whole message, but a fragment may begin or end inside of a character.
    """

    __slots__ = ("data", "fin", "opcode")

    def __init__(self, data: bytes, opcode: int, fin: bool) -> None:
        self.data = data
        self.opcode = opcode
        self.fin = fin

    def __repr__(self) -> str:
        return f"Fragment({self.data!r}, {self.opcode}, {self.fin})"


class Ping:
    """The peer asks for a sign of life; the engine has prepared the answer."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Ping({self.data!r})"


class Pong:
    """An answer to a ping, or a sign of life that nobody asked for."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Pong({self.data!r})"


class Close:
    """The peer closed: the last event.

    `code` 1005: its close frame carried none; 1006: the connection ended
    without a close frame.
    """

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason

    def __repr__(self) -> str:
        return f"Close({self.code}, {self.reason!r})"


class Failed:
    """The peer broke the protocol or a limit: the last event.

    A close frame with this `code` is waiting in `data_to_send()`, unless one was sent before;
    `reason` is one sentence, also sent to the peer.
    """

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    def __repr__(self) -> str:
        return f"Failed({self.code}, {self.reason!r})"


class NeedData:
    """The type of NEED_DATA: nothing to tell until more is received."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NEED_DATA"


NEED_DATA = NeedData()

Event = Union[Message, Fragment, Ping, Pong, Close, Failed, NeedData]


class StateError(RuntimeError):
    """Something was to be sent that the state of the connection or message does not allow."""
