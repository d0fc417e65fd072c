"""smtplib, and with it all that sends by it, as Django does: what is written to whom.

While mail is held no server is asked: a client's calls succeed, and its messages go nowhere. A
client that connected meanwhile has no connection, and goes on so.
"""

import sys
from typing import Any, Callable

from ..calls import Calling
from ..mail import Envelope, outcome
from ..source import Source

ENVELOPE = Envelope("from_addr", "to_addrs", "msg")
_TEXT = b"kept by Tremolo, and not sent"
#: what a server that agrees to everything answers (RFC 5321, RFC 4954)
_REPLIES = {"connect": 220, "ehlo": 250, "helo": 250, "starttls": 220, "login": 235, "auth": 235,
            "noop": 250, "rset": 250, "mail": 250, "rcpt": 250, "verify": 250, "expn": 250,
            "docmd": 250, "quit": 221}
_HELD = "_tremolo_held"


def attach(source: Source) -> None:
    module = sys.modules["smtplib"]
    calling = Calling(source, "mail", ENVELOPE.name, outcome, ENVELOPE.mail)
    calling.observe(module.SMTP, "sendmail")
    source.replace(module.SMTP, "sendmail", lambda send: _kept_whole(source, calling, send))
    for kind in (module.SMTP, module.LMTP):
        if "data" in vars(kind):
            source.replace(kind, "data", lambda send: _kept_data(source, send))
        for name, code in _REPLIES.items():
            if name in vars(kind):
                source.replace(kind, name, _replying(source, name, code))


def _is_held(client: Any) -> bool:
    return _HELD in vars(client)


def _replying(source: Source, name: str, code: int) -> Callable[..., Any]:
    def make(call: Callable[..., Any]) -> Callable[..., Any]:
        def replied(self: Any, *arguments: Any, **keywords: Any) -> Any:
            __traceback_hide__ = True
            if name == "connect":
                if not source.observer.holds_mail:
                    vars(self).pop(_HELD, None)
                    return call(self, *arguments, **keywords)
                setattr(self, _HELD, True)
                self.esmtp_features = {"smtputf8": "", "8bitmime": ""}
                self.ehlo_resp = self.helo_resp = _TEXT
                self.does_esmtp = True
            elif not _is_held(self):
                return call(self, *arguments, **keywords)
            if name == "docmd" and arguments:
                return _REPLIES.get(str(arguments[0]).lower(), code), _TEXT
            return code, _TEXT

        return replied

    return make


def _kept_whole(source: Source, calling: Calling, send: Callable[..., Any]) -> Callable[..., Any]:
    def sendmail(self: Any, *arguments: Any, **keywords: Any) -> Any:
        __traceback_hide__ = True
        if not (source.observer.holds_mail or _is_held(self)):
            return send(self, *arguments, **keywords)
        running = calling.begin(self, arguments, keywords)
        if running is not None:
            with running:
                running.status = "kept"
        return {}

    return sendmail


def _kept_data(source: Source, send: Callable[..., Any]) -> Callable[..., Any]:
    def data(self: Any, *arguments: Any, **keywords: Any) -> Any:
        """Of clients that make each step themselves."""
        __traceback_hide__ = True
        if source.observer.holds_mail and not _is_held(self):
            self.rset()  # the server has an envelope, and is to forget it
        elif not _is_held(self):
            return send(self, *arguments, **keywords)
        return 250, _TEXT

    return data
