"""smtplib, and with it Django's mail: to whom messages are sent."""

import sys
from typing import Any, Tuple

from ..calls import Calling
from ..source import Source


def attach(source: Source) -> None:
    Calling(source, "mail").observe(
        sys.modules["smtplib"].SMTP, "sendmail", _named,
        lambda refused: f"{len(refused)} refused" if refused else "sent")


def _named(client: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
    to = arguments[1] if len(arguments) > 1 else keywords.get("to_addrs", ())
    return "SEND", to if isinstance(to, str) else ", ".join(map(str, to))
