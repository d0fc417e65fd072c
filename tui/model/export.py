"""Requests in forms that other programs take."""

import shlex
from typing import Sequence

from .traffic import Row


def url(row: Row, addresses: Sequence[str]) -> str:
    """The row's URL on the first address that a browser could use."""
    base = next((a for a in addresses if a.startswith("http")), "http://localhost")
    if row.secure and base.startswith("http:"):
        base = next((a for a in addresses if a.startswith("https:")), base)
    path = row.path if row.path.startswith("/") else "/" + row.path
    return base.rstrip("/") + path


def curl(row: Row, addresses: Sequence[str]) -> str:
    """A curl command that sends the request again (its headers and body are not known)."""
    words = ["curl", "-i"]
    if row.method == "HEAD":
        words.append("-I")
    elif row.method not in ("GET", "WS"):
        words += ["-X", row.method]
    if "[" in row.path or "{" in row.path:
        words.append("-g")
    socket = next((a[5:] for a in addresses if a.startswith("unix:")), None)
    if socket and not any(a.startswith("http") for a in addresses):
        words += ["--unix-socket", socket]
    words.append(url(row, addresses))
    return " ".join(shlex.quote(word) for word in words)
