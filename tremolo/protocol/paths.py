"""Request paths: percent-decoding, and which file names a path may stand for.

Works on names alone and never asks the file system; what a symbolic link resolves to is for
the caller to find out and to check with `is_within`. A path that is not plainly a relative
file name is refused, never repaired.
"""

import re
from binascii import unhexlify
from typing import NamedTuple, Sequence

# A run of escapes at once: text that is all escapes decodes 25 times as fast as one by one.
# Bounded, since the regular expression engine keeps a record of every repetition.
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2}){1,256}")

# NAME_MAX and PATH_MAX of Linux; longer names exist nowhere, so they need no system call.
_SEGMENT_BYTES = 255
_PATH_BYTES = 4096


class UnsafePath(ValueError):
    """A request path that no file is served for; the text is one sentence why."""


class StaticPath(NamedTuple):
    """A request path taken apart into file names, each of them safe to join.

    `is_directory` tells that the path ended in a slash (or is empty).
    """

    parts: tuple[str, ...]
    is_directory: bool


def percent_decode(data: bytes) -> bytes:
    """Each `%` with two hexadecimal digits as its octet (RFC 3986 section 2.1), once.

    A `%` without two digits stays as it is, as the WHATWG URL standard has it.
    """
    return _ESCAPES.sub(_octets, data) if b"%" in data else data


def _octets(escapes: re.Match[bytes]) -> bytes:
    return unhexlify(escapes[0].replace(b"%", b""))


def decode_path(raw_path: bytes) -> str:
    """A request's path as characters, as the ASGI specification wants `path` in the scope.

    What is not UTF-8 becomes U+FFFD: the specification says nothing, and a lone surrogate or a
    Latin-1 guess would break later in the application; `raw_path` keeps the truth.
    """
    if b"%" in raw_path:
        raw_path = percent_decode(raw_path)
    return raw_path.decode("utf-8", "replace")


def is_mounted(path: str, root: str) -> bool:
    """Whether `path` begins with `root` (no slash at its end), segment by segment: a proxy that
    mounted the application there did not take it off."""
    return path.startswith(root) and path[len(root):len(root) + 1] in ("", "/")


def split_static_path(raw_path: bytes, *, dotfiles: bool = False) -> StaticPath:
    """Take a percent-encoded path, relative to what is served, apart into file names.

    One leading slash is accepted and means nothing. Raises UnsafePath for `.` and `..`, empty
    segments (so for `//host/share` too), NUL and other control characters, backslashes,
    drive letters, encoded slashes, bytes that are not UTF-8, names longer than a file system
    takes, and names beginning with a dot unless `dotfiles`.
    """
    if raw_path[:1] == b"/":
        raw_path = raw_path[1:]
    if not raw_path:
        return StaticPath((), True)
    if len(raw_path) > 3 * _PATH_BYTES or len(percent_decode(raw_path)) > _PATH_BYTES:
        raise UnsafePath("the path is longer than any file name")
    # Split first, then decoded: an encoded slash never becomes a separator.
    segments = raw_path.split(b"/")
    is_directory = not segments[-1]
    if is_directory:
        segments.pop()
    parts = tuple(_file_name(segment, dotfiles) for segment in segments)
    return StaticPath(parts, is_directory)


def _file_name(segment: bytes, dotfiles: bool) -> str:
    name = percent_decode(segment)
    if not name:
        raise UnsafePath("the path has an empty segment")
    if name in (b".", b".."):
        raise UnsafePath("the path has a dot segment")
    if name[:1] == b"." and not dotfiles:
        raise UnsafePath("names that begin with a dot are not served")
    if b"/" in name or b"\\" in name:
        raise UnsafePath("the path has an encoded slash or a backslash in a name")
    if name[1:2] == b":" and name[:1].isalpha():
        raise UnsafePath("the path names a drive")
    if min(name) < 0x20 or 0x7F in name:
        raise UnsafePath("the path has a control character")
    if len(name) > _SEGMENT_BYTES:
        raise UnsafePath("the path has a name that is longer than any file's")
    try:
        # Strict: a name with replacement characters would be another file's.
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise UnsafePath("the path is not UTF-8") from None


def join_parts(root: str, parts: Sequence[str]) -> str:
    """The file name of `parts`, as `split_static_path` gives them, below `root`."""
    return "/".join([root.rstrip("/"), *parts]) if parts else root


def is_within(root: str, path: str) -> bool:
    """Whether `path` is `root` or below it; both must be real paths, absolute and resolved.

    The separator belongs to the comparison: `/srv/static-private` is not below `/srv/static`.
    """
    return path == root or path.startswith(root.rstrip("/") + "/")


def local_location(raw_path: bytes, query: bytes = b"") -> bytes:
    """A `Location` on this very host for a path as it was sent, still percent-encoded.

    Leading slashes and backslashes become one slash: a browser takes `//host` and `/\\host`
    for another host's address.
    """
    location = b"/" + raw_path.lstrip(b"/\\")
    return location + b"?" + query if query else location
