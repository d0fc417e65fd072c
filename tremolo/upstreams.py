"""Other servers that answer some paths, as a project names them in `[tool.tremolo.proxy]`.

A leaf: what may be written there, checked, and which of them a path belongs to.
"""

from typing import Any, List, Mapping, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

from .exceptions import ConfigurationError

#: the prefix of all paths that the application does not know
EVERYTHING = "/"
MOST = 50


class Upstream(NamedTuple):
    """A server at `url` (without a slash at its end), for what is below `prefix`."""

    prefix: str
    url: str

    @property
    def origin(self) -> str:
        """Scheme and authority."""
        return "/".join(self.url.split("/", 3)[:3])

    @property
    def asks_application(self) -> bool:
        """The application is asked first."""
        return self.prefix == EVERYTHING

    @property
    def route(self) -> str:
        """The rule as a template."""
        return self.prefix.rstrip("/") + "/*"

    def is_at(self, port: int) -> bool:
        """Whether it is on this machine, at `port`."""
        parts = urlsplit(self.url)
        return bool(port) and parts.port == port and parts.hostname in (
            "localhost", "127.0.0.1", "::1", "0.0.0.0")

    def covers(self, path: str) -> bool:
        """Whether `path` is below the prefix."""
        if self.prefix.endswith("/"):
            return path.startswith(self.prefix)
        return path == self.prefix or path.startswith(self.prefix + "/")


def upstreams(table: Any) -> List[Upstream]:
    """The rules of [tool.tremolo.proxy], the longest prefix first. Raises ConfigurationError."""
    if not isinstance(table, Mapping):
        raise ConfigurationError('[tool.tremolo.proxy] must be a table, such as '
                                 '"/" = "http://localhost:5173"')
    if len(table) > MOST:
        raise ConfigurationError(f"[tool.tremolo.proxy] has more than {MOST} prefixes")
    found = [_upstream(str(prefix), url) for prefix, url in table.items()]
    return sorted(found, key=lambda each: (-len(each.prefix), each.prefix))


def _upstream(prefix: str, url: Any) -> Upstream:
    where = f'[tool.tremolo.proxy] "{prefix}"'
    if not prefix.startswith("/") or not prefix.isascii() or not prefix.isprintable() \
            or any(character in prefix for character in " ?#*"):
        raise ConfigurationError(f"{where} must be the beginning of a path, such as /assets")
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        valid = parts is not None and parts.scheme in ("http", "https") and (
            bool(parts.hostname)) and not (parts.query or parts.fragment) and (
            parts.port != 0) and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(f"{where} must be an address such as http://localhost:5173, "
                                 f"not {url!r}")
    return Upstream(prefix, url.rstrip("/"))


def find(rules: Sequence[Upstream], path: str) -> Optional[Upstream]:
    """The rule for a path, from `upstreams()`."""
    return next((rule for rule in rules if rule.covers(path)), None)
