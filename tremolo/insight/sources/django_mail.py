"""Django's mail where it is not sent by smtplib: the messages that a backend is given.

Those of Django that send nothing (console, files, memory) are left to do what they do while mail
is held; others, as those of services, are not called.
"""

import sys
from typing import Any, Callable, Set, Tuple

from ..calls import Calling, Running
from ..mail import mail_of
from ..record import Record
from ..source import Source

_OWN = "django.core.mail.backends."


def attach(source: Source) -> None:
    calling = Calling(source, "mail", _named, reading=_mail, running=_Sending)
    seen: Set[Any] = set()

    def make(load: Callable[..., Any]) -> Callable[..., Any]:
        def observed(path: str) -> Any:
            backend = load(path)
            if source.on and isinstance(backend, type):
                try:
                    _observe(source, calling, backend, seen)
                except Exception as exc:
                    source.fail(exc)
            return backend

        return observed

    # By what `get_connection` loads a backend's class with: that function itself other modules
    # take by name, and would keep what stands for it.
    source.replace(sys.modules["django.core.mail"], "import_string", make)


def _observe(source: Source, calling: Calling, kind: type, seen: Set[Any]) -> None:
    owner = next(cls for cls in kind.__mro__ if "send_messages" in vars(cls))
    if owner in seen or owner.__module__ == _OWN + "smtp":
        return
    seen.add(owner)
    local = owner.__module__.startswith(_OWN)
    sent = "given to " + kind.__module__.rpartition(".")[2]

    def make(send: Callable[..., Any]) -> Callable[..., Any]:
        def send_messages(self: Any, messages: Any) -> Any:
            __traceback_hide__ = True
            keep = source.observer.holds_mail and not local
            running = calling.begin(self, (messages,), {})
            if running is None:
                return len(messages) if keep else send(self, messages)
            with running:
                running.status = "kept" if keep else sent
                return len(messages) if keep else send(self, messages)

        return send_messages

    source.replace(owner, "send_messages", make)


class _Sending(Running):
    """Of all the messages that a backend is given at once: each is noted, with its share of the
    time."""

    __slots__ = ()

    def note(self, calling: Calling, record: Record, status: str, began: float,
             seconds: float) -> None:
        messages = self.arguments[0]
        for self.owner in messages:
            super().note(calling, record, status, began, seconds / len(messages))


def _named(message: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    return "SEND", ", ".join(map(str, message.recipients()))


def _mail(message: Any, arguments: Tuple[Any, ...], keywords: Any) -> Any:
    return mail_of(message.from_email, message.recipients(), message.message().as_bytes())
