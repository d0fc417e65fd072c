"""`--lan`: a server that other machines reach, with URLs to open there."""

import importlib
import os
import sys
from typing import Any, Dict, List

from ..addresses import host_names, lan_addresses
from ..config import Settings

WARNING = ("everybody in this network can reach this server: other machines see the application, "
           "not its tracebacks")


def widen(values: Dict[str, Any]) -> None:
    """Listen on all addresses, and accept the names that others use for this machine."""
    values.setdefault("host", "0.0.0.0")
    allowed = values.get("allowed_hosts", ())
    allowed = [allowed] if isinstance(allowed, str) else list(allowed)
    values["allowed_hosts"] = [*allowed, *host_names(), *lan_addresses()]


def complete(values: Dict[str, Any]) -> None:
    """Put into `values` what --lan and --https stand for. Raises ConfigurationError."""
    if values.get("lan"):
        widen(values)
    if values.get("https") and not (values.get("ssl_cert") or values.get("ssl")):
        from .https import certificate

        values["ssl_cert"] = certificate(os.getcwd())


def urls(settings: Settings) -> List[str]:
    """What to open on other machines; none when the port is not known yet."""
    if not settings.port:
        return []
    scheme = "https" if settings.ssl_cert or settings.ssl else "http"
    names = [f"[{name}]" if ":" in name else name for name in lan_addresses()]
    names += [name for name in host_names() if name.endswith(".local")]
    return [f"{scheme}://{name}:{settings.port}" for name in names]


def show_code(url: str) -> None:
    """Draw a QR code on the terminal, if there is one and the package segno."""
    if not sys.stdout.isatty():
        return
    try:
        segno = importlib.import_module("segno")
    except ImportError:
        print("(a QR code for phones takes the package segno: pip install 'tremolo[qr]')")
        return
    print(url)
    segno.make(url, micro=False).terminal(compact=True, border=1)
