"""A message of mail (RFC 5322, MIME) as it can be read, bounded.

Its text is not masked: the link that it brings is what a developer wants to follow.
"""

import email
import email.policy
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Iterable, List, Sized, Tuple, Union

from ..telemetry.sanitize import clean, clean_lines

if TYPE_CHECKING:
    from ..telemetry.insight_messages import Attachment, Mail

#: bytes of a message that are read: more than any but attachments have
MAX_READ = 1024 * 1024
MAX_TEXT = 8 * 1024  # characters of each body
MAX_NAMED = 20  # recipients, and attachments


class Envelope:
    """How a client's method that sends a message is called: the `names` of the sender, of the
    recipients and of the message among its arguments."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def name(self, client: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
        """What a call of it is called in the list of calls."""
        to = self._parts(arguments, keywords)[1]
        return "SEND", to if isinstance(to, str) else ", ".join(map(str, to))

    def mail(self, client: Any, arguments: Tuple[Any, ...], keywords: Any) -> "Mail":
        return mail_of(*self._parts(arguments, keywords))

    def _parts(self, arguments: Tuple[Any, ...], keywords: Any) -> List[Any]:
        return [arguments[index] if index < len(arguments) else keywords.get(name, "")
                for index, name in enumerate(self._names)]


def outcome(refused: Sized) -> str:
    """The status of a message that some recipients were `refused` for."""
    return f"{len(refused)} refused" if refused else "sent"


def mail_of(sender: Any, recipients: Union[str, Iterable[Any]],
            data: Union[str, bytes]) -> "Mail":
    """What a client hands over: the envelope, and the message with its header."""
    raw = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else bytes(data)
    message: Any = email.message_from_bytes(raw[:MAX_READ], policy=email.policy.default)
    to = [recipients] if isinstance(recipients, str) else list(recipients)
    mail: Mail = {
        "sender": clean(str(sender or ""), 200),
        "to": [clean(str(each), 200) for each in to[:MAX_NAMED]],
        "subject": clean(str(message.get("subject", "")), 400),
        "text": _body(message, "plain"), "html": _body(message, "html"),
        "attachments": _attachments(message)}
    if len(raw) > MAX_READ or len(to) > MAX_NAMED:
        mail["cut"] = True
    return mail


def _body(message: EmailMessage, kind: str) -> str:
    part: Any = message.get_body((kind,))
    if part is None:
        return ""
    try:
        text = part.get_content()
    except (LookupError, ValueError):  # an unknown charset, or bytes that are not of it
        text = part.get_payload(decode=True) or b""
    return clean_lines(text, MAX_TEXT)


def _attachments(message: EmailMessage) -> "List[Attachment]":
    found: List[Attachment] = []
    for part in message.iter_attachments() if message.is_multipart() else ():
        if len(found) == MAX_NAMED:
            break
        payload: Any = part.get_payload(decode=True) or b""
        found.append({"name": clean(part.get_filename() or "", 200),
                      "type": clean(part.get_content_type(), 100), "size": len(payload)})
    return found
