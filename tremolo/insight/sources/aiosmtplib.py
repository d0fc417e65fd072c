"""aiosmtplib: what is written to whom.

While mail is held no server is asked, as `smtplib` has it: a client that connects meanwhile has
no connection, for good, and its calls succeed.
"""

import sys
from typing import Any, Callable
from weakref import WeakSet

from ..calls import Calling
from ..mail import Envelope, outcome
from ..source import Source

ENVELOPE = Envelope("sender", "recipients", "message")
_TEXT = "kept by Tremolo, and not sent"
#: what a server that agrees to everything answers to a command (RFC 5321), 250 to others
_REPLIES = {b"QUIT": 221, b"AUTH": 235, b"DATA": 354, b"HELP": 214, b"VRFY": 252}


class _Nobody:
    """In the place of a connection's protocol."""

    is_connected = True


def attach(source: Source) -> None:
    module = sys.modules["aiosmtplib.smtp"]
    client, reply = module.SMTP, module.SMTPResponse
    calling = Calling(source, "mail", ENVELOPE.name, lambda result: outcome(result[0]),
                      ENVELOPE.mail)
    held: WeakSet[Any] = WeakSet()

    def replying(code: int) -> Callable[..., Any]:
        def make(call: Callable[..., Any]) -> Callable[..., Any]:
            async def replied(self: Any, *arguments: Any, **keywords: Any) -> Any:
                __traceback_hide__ = True
                if not _is_held(self):
                    return await call(self, *arguments, **keywords)
                return reply(code, _TEXT)
            return replied
        return make

    def connecting(connect: Callable[..., Any]) -> Callable[..., Any]:
        async def connected(self: Any, *arguments: Any, **keywords: Any) -> Any:
            __traceback_hide__ = True
            if not source.observer.holds_mail or self.is_connected:
                return await connect(self, *arguments, **keywords)
            self.protocol = _Nobody()
            held.add(self)
            return reply(220, _TEXT)
        return connected

    def commanding(execute: Callable[..., Any]) -> Callable[..., Any]:
        async def executed(self: Any, *words: Any, **keywords: Any) -> Any:
            __traceback_hide__ = True
            if not _is_held(self):
                return await execute(self, *words, **keywords)
            return reply(_REPLIES.get(bytes(words[0]).upper() if words else b"", 250), _TEXT)
        return executed

    def keeping(send: Callable[..., Any]) -> Callable[..., Any]:
        async def sendmail(self: Any, *arguments: Any, **keywords: Any) -> Any:
            __traceback_hide__ = True
            if not (source.observer.holds_mail or _is_held(self)):
                return await send(self, *arguments, **keywords)
            running = calling.begin(self, arguments, keywords)
            if running is not None:
                with running:
                    running.status = "kept"
            return {}, _TEXT
        return sendmail

    def keeping_data(send: Callable[..., Any]) -> Callable[..., Any]:
        async def data(self: Any, *arguments: Any, **keywords: Any) -> Any:
            """Of clients that make each step themselves."""
            __traceback_hide__ = True
            if source.observer.holds_mail and not _is_held(self):
                await self.rset()  # the server has an envelope, and is to forget it
            elif not _is_held(self):
                return await send(self, *arguments, **keywords)
            return reply(250, _TEXT)
        return data

    calling.observe(client, "sendmail")
    source.replace(client, "sendmail", keeping)
    source.replace(client, "data", keeping_data)
    source.replace(client, "connect", connecting)
    source.replace(client, "execute_command", commanding)
    source.replace(client, "starttls", replying(220))
    source.replace(client, "login", replying(235))

    def let_go() -> None:
        for each in list(held):
            if _is_held(each):
                each.close()  # what nobody stands in for any more is not connected

    source.undone_by(let_go)


def _is_held(client: Any) -> bool:
    return isinstance(client.protocol, _Nobody)
