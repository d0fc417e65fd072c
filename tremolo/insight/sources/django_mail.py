"""Django's mail where it is not sent by smtplib: the messages that a backend is given.

Those of Django that send nothing (console, files, memory) are left to do what they do while mail
is held; others, as those of services, are not called.
"""

import sys
from time import perf_counter
from typing import Any, Callable, Set, Tuple

from ..calls import Calling
from ..mail import mail_of
from ..source import Source

_OWN = "django.core.mail.backends."


def attach(source: Source) -> None:
    calling = Calling(source, "mail", _mail)
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

    def make(send: Callable[..., Any]) -> Callable[..., Any]:
        def send_messages(self: Any, messages: Any) -> Any:
            __traceback_hide__ = True
            keep = source.observer.holds_mail and not local
            record = calling.begin()
            if record is None:
                return len(messages) if keep else send(self, messages)
            began, status = perf_counter(), "kept"
            try:
                if keep:
                    return len(messages)
                status = "interrupted"
                result = send(self, messages)
                status = "given to " + kind.__module__.rpartition(".")[2]
                return result
            except BaseException as exc:
                status = type(exc).__name__
                raise
            finally:
                for message in messages:
                    calling.end(record, began, _named, lambda: status, message, (), None)

        return send_messages

    source.replace(owner, "send_messages", make)


def _named(message: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    return "SEND", ", ".join(map(str, message.recipients()))


def _mail(message: Any, arguments: Tuple[Any, ...], keywords: Any) -> Any:
    return mail_of(message.from_email, message.recipients(), message.message().as_bytes())
