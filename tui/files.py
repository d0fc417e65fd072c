"""Sessions and HAR as files: written for this user alone, read with a bound.

Imported on first use.
"""

import json
import os
import time
from typing import Any, Dict, List, Tuple

from .model.har import har_of, records_of_har
from .model.records import NoSession, fill, read_records, records_of
from .model.session import Session
from .model.traffic import Row

LARGEST = 512 * 1024 * 1024
HAR = ".har"


def suggested(session: Session, ending: str = ".jsonl") -> str:
    """A name that is free, in the working directory."""
    app = "".join(char if char.isalnum() else "-" for char in session.app).strip("-") or "session"
    return f"{app}-{time.strftime('%Y%m%d-%H%M%S')}{ending}"


def write(session: Session, path: str) -> int:
    """Write the requests that the filter lets through, and what is known beside them: HAR if
    `path` ends so, else a session. How many requests they are. Raises OSError; nothing that is
    there is written over."""
    path = os.path.expanduser(path)
    rows = [entry for entry in session.traffic.shown() if isinstance(entry, Row)]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        if path.lower().endswith(HAR):
            json.dump(har_of(rows, session.addresses, session.version), file, indent=1)
        else:
            for record in records_of(session):
                file.write(json.dumps(record, separators=(",", ":")) + "\n")
    return len(rows)


def write_picture(session: Session, svg: str) -> str:
    """Write a picture of the screen; the name of the file. Raises OSError."""
    path = suggested(session, ".svg")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(svg)
    return path


def read(session: Session, path: str) -> Tuple[int, List[str]]:
    """Fill a session from a file: how many requests it has, and of a HAR the origins they went
    to. Raises NoSession and OSError."""
    if os.path.getsize(path) > LARGEST:
        raise NoSession(f"it has more than {LARGEST >> 20} MiB")
    try:
        with open(path, encoding="utf-8-sig") as file:
            if not path.lower().endswith(HAR):
                return fill(session, read_records(file)), []
            try:
                document: Any = json.load(file)
            except (ValueError, RecursionError):
                raise NoSession("it is not JSON") from None
    except UnicodeDecodeError:
        raise NoSession("it is not UTF-8") from None
    records, origins = records_of_har(document)
    hello: Dict[str, Any] = {"v": 1, "kind": "hello", "app": os.path.basename(path),
                             "addresses": origins[:1]}
    return fill(session, [hello, *records]), origins


def open_recording(session: Session, path: str) -> None:
    """Show in a session that has no server what a file holds. Raises NoSession and OSError."""
    addresses = list(session.addresses)
    session.recorded = True
    session.commands.on_given = session.refuse_commands
    count, origins = read(session, path)
    session.addresses = addresses or session.addresses
    others = f", {len(origins) - 1} other hosts" if len(origins) > 1 else ""
    session.notify(f"{os.path.basename(path)}: {count:,} requests{others} · replays go to "
                   f"{next(iter(session.addresses), 'nowhere')}", "info")
