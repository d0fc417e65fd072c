"""Content codings of bodies (RFC 9110, 8.4.1) undone for the eye: gzip, deflate, br, zstd.

What is known of a body may be its beginning only; as much comes out as that gives, and never
more than `MOST` bytes. br and zstd need a package, or a Python that has them.
"""

import importlib
import zlib
from typing import Any, NamedTuple, Optional

MOST = 256 * 1024
_NEEDS = {"br": ("brotli",), "zstd": ("compression.zstd", "backports.zstd", "zstandard")}


class Decoded(NamedTuple):
    """`body` is None where it could not be decoded; `problem` says why."""

    body: Optional[bytes]
    problem: str = ""


def decoded(body: bytes, coding: str) -> Decoded:
    """`body` without the codings that a Content-Encoding of `coding` names."""
    for name in reversed([word.strip().lower() for word in coding.split(",") if word.strip()]):
        found = _undone(body, name)
        if found.body is None:
            return found
        body = found.body
    return Decoded(body)


def _undone(body: bytes, name: str) -> Decoded:
    if name in ("", "identity"):
        return Decoded(body)
    try:
        if name in ("gzip", "x-gzip"):
            return Decoded(zlib.decompressobj(31).decompress(body, MOST))
        if name == "deflate":
            return Decoded(_inflated(body))
        if name in _NEEDS:
            return _by_package(body, name)
    except Exception as exc:  # each package has errors of its own
        return Decoded(None, f"it is no {name}: {str(exc)[:80]}")
    return Decoded(None, f"the coding {name[:20]} is not known here")


def _inflated(body: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(body, MOST)
    except zlib.error:  # servers send it without the header that the standard asks for
        return zlib.decompressobj(-15).decompress(body, MOST)


def _by_package(body: bytes, name: str) -> Decoded:
    module: Any = None
    for package in _NEEDS[name]:
        try:
            module = importlib.import_module(package)
            break
        except ImportError:
            continue
    if module is None:
        return Decoded(None, f"the package {_NEEDS[name][-1]} would show what is in it")
    if name == "br":
        return Decoded(bytes(module.Decompressor().process(body))[:MOST])
    if hasattr(module, "ZstdCompressor") and hasattr(module, "FORMAT_ZSTD1"):  # zstandard
        return Decoded(bytes(module.ZstdDecompressor().decompressobj().decompress(body))[:MOST])
    return Decoded(bytes(module.ZstdDecompressor().decompress(body, MOST)))
