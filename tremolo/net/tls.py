"""TLS contexts from settings, with errors that name the file."""

import ssl
from typing import Any, Optional

from ..config import Settings
from ..exceptions import ConfigurationError


def server_context(settings: Settings, overrides: Any = None) -> Optional[ssl.SSLContext]:
    """The context for `ssl=` or `--ssl-cert`/`--ssl-key`; None without TLS.

    Raises ConfigurationError when a file is missing or does not fit.
    """
    wanted = overrides if overrides is not None else settings.ssl
    if not wanted and settings.ssl_cert:
        wanted = {"cert": settings.ssl_cert, "key": settings.ssl_key}
    if not wanted:
        return None
    cert, key = wanted.get("cert"), wanted.get("key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key or None, wanted.get("password"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"TLS certificate or key not found: cert={cert!r} key={key!r}") from None
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise ConfigurationError(
            f"TLS certificate or key cannot be used: cert={cert!r} key={key!r}: {exc}") from None
    return context
