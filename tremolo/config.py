"""Every setting of the server, in one table.

A leaf. The command line, `run()`, pyproject's `[tool.tremolo]` and the documentation are
all made from `OPTIONS`; nothing else defines a default. `Settings` holds the values in force.
"""

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .exceptions import ConfigurationError


class Option(NamedTuple):
    """One setting: its Python name, its flags, its type, its default and one line of help.

    `kind` is `int`, `float`, `str`, `bool` (a switch), `list` (given repeatedly), `mode`
    (permissions of a file: an int, or octal digits), or `object`
    (only settable from Python). Numbers have inclusive bounds `low` and `high`. `common` ones
    are in the short help.
    """

    name: str
    flags: Tuple[str, ...]
    kind: str
    default: Any
    group: str
    help: str
    low: Optional[float] = 0
    high: Optional[float] = None
    choices: Tuple[str, ...] = ()
    metavar: str = ""
    common: bool = False


def _o(name: str, kind: str, default: Any, group: str, help: str, **more: Any) -> Option:
    flags = more.pop("flags", ("--" + name.replace("_", "-"),))
    return Option(name, flags, kind, default, group, help, **more)


KIB = 1024
MIB = 1024 * KIB

OPTIONS: Tuple[Option, ...] = (
    # where
    _o("host", "str", "127.0.0.1", "address", "address to listen on; :: is IPv6 and IPv4",
       common=True, metavar="ADDRESS"),
    _o("port", "int", 8000, "address", "TCP port; 0: the system's choice", high=65535,
       flags=("--port", "-p"), common=True),
    _o("bind", "str", "", "address", "HOST:PORT, :PORT, [V6]:PORT or a socket path; commas for "
       "several; replaces --host and --port", metavar="ADDRESS"),
    _o("reuse_port", "bool", True, "address", "one SO_REUSEPORT socket a worker where the "
       "platform has it", flags=()),
    _o("backlog", "int", 2048, "address", "connections the kernel may queue", low=1),
    _o("uds_mode", "mode", "600", "address", "permissions of a Unix socket, octal: with 660 its "
       "group may connect, too", metavar="MODE"),
    _o("lan", "bool", False, "address", "let other machines of this network in: all addresses, "
       "their URLs, a QR code", common=True),
    _o("https", "bool", False, "address", "TLS with a certificate of your own authority; see "
       "tremolo trust", common=True),
    _o("ssl_cert", "str", "", "address", "TLS certificate (PEM)", metavar="FILE"),
    _o("ssl_key", "str", "", "address", "TLS private key (PEM)", metavar="FILE"),
    _o("ssl", "object", None, "address", "dict with cert, key, password", flags=()),
    # the application
    _o("interface", "str", "auto", "application", "how to call the application",
       choices=("auto", "native", "asgi", "asgi2", "wsgi")),
    _o("factory", "bool", False, "application", "APP is a function that returns the application"),
    _o("app_dir", "str", "", "application", "folder that modules are looked for in, first",
       metavar="FOLDER"),
    _o("env_file", "list", (), "application", "also put NAME=VALUE lines of this file into the "
       "environment", metavar="FILE"),
    _o("dotenv", "bool", True, "application", "do not load .flaskenv, .env and .env.local "
       "(dev does)", flags=("--no-env-file",)),
    _o("root_path", "str", "", "application", "path below which a proxy mounted the app: ASGI's "
       "root_path, WSGI's SCRIPT_NAME", metavar="PATH"),
    _o("lifespan", "str", "auto", "application", "ASGI lifespan protocol",
       choices=("auto", "on", "off")),
    _o("ws", "bool", True, "application", "no WebSockets", flags=("--no-ws",)),
    _o("proxy", "object", None, "application", "[tool.tremolo.proxy]: a table of servers that "
       "answer some paths in dev (only in pyproject.toml)", flags=()),
    # processes
    _o("worker_num", "int", 1, "processes", "worker processes; negative: one per usable CPU",
       flags=("--workers", "--worker-num", "-w"), low=-1, common=True),
    _o("thread_pool_size", "int", 5, "processes", "threads for synchronous handlers, and the "
       "number of locks", low=1),
    _o("limit_memory", "int", 0, "processes", "KiB of memory after which a worker is replaced; "
       "0: none"),
    _o("max_requests", "int", 0, "processes", "requests after which a worker is replaced; "
       "0: none"),
    _o("stuck_timeout", "float", 60.0, "processes", "seconds without a sign of life after which "
       "a worker is replaced; 0: never, as in dev", metavar="SECONDS"),
    _o("loop", "str", "auto", "processes", "auto, asyncio, uvloop, or MODULE.CLASS: auto takes "
       "uvloop when it is installed"),
    _o("shutdown_timeout", "float", 10.0, "processes", "seconds that running requests may take "
       "when the server stops", metavar="SECONDS"),
    _o("companions", "object", None, "processes", "[tool.tremolo.run]: a table of programs that "
       "run beside the server in dev (only in pyproject.toml)", flags=()),
    _o("run_companions", "bool", True, "processes", "do not start the programs of "
       "[tool.tremolo.run]", flags=("--no-companions",)),
    # reload
    _o("reload", "bool", False, "reload", "start new code when a file changes"),
    _o("reload_dir", "list", (), "reload", "also watch this folder", metavar="FOLDER",
       common=True),
    _o("reload_include", "list", (), "reload", "also reload for files of this pattern",
       metavar="GLOB"),
    _o("reload_exclude", "list", (), "reload", "ignore files of this pattern", metavar="GLOB"),
    _o("reload_mode", "str", "auto", "reload", "fork workers from a process with the "
       "third-party modules loaded, or start each afresh", choices=("auto", "zygote", "spawn")),
    _o("reload_order", "str", "start-first", "reload", "start the new code before the old stops, "
       "or after", choices=("start-first", "stop-first")),
    _o("no_preload", "list", (), "reload", "never load this package ahead of the fork",
       metavar="PACKAGE"),
    _o("keep", "list", (), "reload", "module of the project that is imported once and kept while "
       "other modules change", metavar="MODULE"),
    _o("drain_timeout", "float", 2.0, "reload", "seconds that running requests of old code may "
       "take at a reload", metavar="SECONDS"),
    _o("startup_timeout", "float", 60.0, "reload", "seconds that the application may take to "
       "import and start", metavar="SECONDS"),
    # mail
    _o("hold_mail", "bool", False, "output", "keep mail of smtplib and Django from being sent; "
       "the dashboard shows it (dev)"),
    # limits
    _o("client_max_header_size", "int", 32 * KIB, "limits", "bytes of a request's header "
       "section", low=256, high=MIB),
    _o("client_max_request_line", "int", 8 * KIB, "limits", "bytes of a request line",
       low=64, high=MIB),
    _o("client_max_fields", "int", 100, "limits", "header fields of a request",
       low=1, high=10000),
    _o("client_max_body_size", "int", None, "limits", "bytes of a request body; default 2 MiB "
       "for Tremolo apps, none for ASGI and WSGI"),
    _o("max_connections", "int", 0, "limits", "connections of a worker; 0: as many as file "
       "descriptors allow, 1000 at most"),
    _o("max_queue_size", "int", 128, "limits", "accepted for compatibility; buffers are bounded "
       "in bytes"),
    _o("ws_max_payload_size", "int", 2 * MIB, "limits", "bytes of a WebSocket message", low=1),
    _o("websocket_deflate", "bool", True, "limits", "no permessage-deflate for WebSockets",
       flags=("--no-ws-deflate",)),
    _o("request_timeout", "float", 10.0, "limits", "seconds for a whole request head; also the "
       "write stall limit is three times this", low=0.01, metavar="SECONDS"),
    _o("keepalive_timeout", "float", 15.0, "limits", "seconds that an idle connection is kept",
       metavar="SECONDS"),
    _o("keepalive_connections", "int", 512, "limits", "idle connections that a worker keeps"),
    _o("app_handler_timeout", "float", 60.0, "limits", "seconds until a handler must have "
       "started its response; 0: no limit; ASGI in dev has none", metavar="SECONDS"),
    _o("app_close_timeout", "float", 30.0, "limits", "seconds that a handler may go on after its "
       "client left", metavar="SECONDS"),
    # throttle
    _o("download_rate", "int", 0, "throttle", "bytes per second to each client; 0: unlimited"),
    _o("upload_rate", "int", 0, "throttle", "bytes per second from each client; 0: unlimited"),
    _o("throttle", "list", (), "throttle", "a preset (slow-4g) or numbers (\"down=1.5Mbit "
       "up=750kbit latency=150ms\"), for all or a part: \"/api/*: slow-4g\"",
       metavar="SPEC", common=True),
    _o("presets", "object", None, "throttle", "a table of presets of one's own, by name (only in "
       "pyproject.toml)", flags=()),
    _o("buffer_size", "int", 16 * KIB, "throttle", "bytes that handlers read and write at once",
       low=256, high=16 * MIB),
    # output
    _o("debug", "bool", False, "output", "tracebacks in error pages (loopback clients only)"),
    _o("experimental", "bool", False, "output", "accepted for compatibility"),
    _o("log_level", "str", "", "output", "DEBUG, INFO, WARNING, ERROR or CRITICAL",
       metavar="LEVEL", common=True),
    _o("log_fmt", "str", "[%(asctime)s] %(module)s: %(levelname)s: %(message)s", "output",
       "format of log lines", metavar="FORMAT"),
    _o("server_name", "str", "Tremolo", "output", "Server header; empty: none", metavar="NAME"),
    _o("plain", "bool", False, "output", "log lines in place of the dashboard", common=True),
    _o("json", "bool", False, "output", "JSON lines in place of the dashboard"),
    _o("show_secrets", "bool", False, "output", "do not mask authorization and cookies"),
    _o("browser_reload", "bool", True, "output", "no refresh of browser pages after a reload",
       flags=("--no-browser-reload",)),
    _o("allowed_hosts", "list", (), "output", "Host values accepted beside loopback names in "
       "dev; '*' for any", metavar="HOST"),
    _o("trusted_proxies", "list", (), "output", "peers whose X-Forwarded-* and Forwarded are "
       "believed: addresses and networks, with commas; '*' for any, 'unix' for Unix sockets",
       metavar="ADDRESS"),
)

#: of the logging module, in either case
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

BY_NAME: Dict[str, Option] = {option.name: option for option in OPTIONS}


def check(option: Option, value: Any) -> Any:
    """Return `value` as the option's type, or raise ConfigurationError naming the option."""
    shown = option.flags[0] if option.flags else option.name
    if value is None or option.kind == "object":
        return value
    if option.kind in ("int", "float"):
        try:
            number = (int if option.kind == "int" else float)(value)
        except (TypeError, ValueError, OverflowError):
            raise ConfigurationError(
                f'Invalid {shown} value "{value}". It must be a number'
            ) from None
        if (number != number or (option.low is not None and number < option.low
                                 and option.name != "worker_num")
                or (option.high is not None and number > option.high)):
            bounds = f"at least {option.low:g}" if option.high is None else (
                f"from {option.low or 0:g} to {option.high:g}")
            raise ConfigurationError(f'Invalid {shown} value "{value}". It must be {bounds}')
        return number
    if option.kind == "mode":
        return _mode(shown, value)
    if option.kind == "bool":
        if isinstance(value, str):
            raise ConfigurationError(f'Invalid {shown} value "{value}". It must be true or false')
        return bool(value)
    if option.kind == "list":
        if isinstance(value, str):
            value = (value,)
        return _refine(option, shown, tuple(str(item) for item in value))
    if option.kind == "str":
        value = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if option.choices and value not in option.choices:
            raise ConfigurationError(
                f'Invalid {shown} value "{value}". It must be one of {", ".join(option.choices)}')
        return _refine(option, shown, value)
    return value


def _mode(shown: str, value: Any) -> int:
    try:
        mode = int(value, 8) if isinstance(value, str) else int(value)
    except (TypeError, ValueError):
        mode = -1
    if not 0 <= mode <= 0o777 or isinstance(value, bool):
        raise ConfigurationError(f'Invalid {shown} value "{value}". It must be permissions in '
                                 'octal, such as 660 (in Python and TOML "660" or 0o660)')
    return mode


def _refine(option: Option, shown: str, value: Any) -> Any:
    """`value` in the form that everybody who uses the option wants."""
    if option.name == "root_path":
        path = value.strip("/")
        return "/" + path if path else ""
    if option.name == "log_level" and value and value.upper() not in LEVELS:
        raise ConfigurationError(f'Invalid {shown} value "{value}". It must be one of '
                                 f"{', '.join(LEVELS)}")
    if option.name == "trusted_proxies" and value:
        from .proxies import split_entries  # few want it, and it loads ipaddress

        try:
            return split_entries(value)
        except ValueError as exc:
            raise ConfigurationError(f"Invalid {shown} value {exc}") from None
    return value


class Settings:
    """The settings in force: an attribute for each option, checked.

    Names that no option has are kept in `extra` (they reach handlers as options of the
    application). Raises ConfigurationError naming the option, what was expected and what came.
    """

    def __init__(self, **values: Any) -> None:
        self.extra: Dict[str, Any] = {}
        #: names that were given, as opposed to left at their default
        self.given = frozenset(values)
        for option in OPTIONS:
            setattr(self, option.name, check(option, values.pop(option.name, option.default)))
        self.extra.update(values)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no setting is named {name!r}")

    def replace(self, **values: Any) -> "Settings":
        """A copy with `values` changed."""
        merged = {name: getattr(self, name) for name in BY_NAME if name in self.given}
        merged.update(self.extra)
        merged.update(values)
        return Settings(**merged)

    def as_dict(self) -> Dict[str, Any]:
        """All values that JSON can carry, for handing to another process."""
        values = {name: getattr(self, name) for name in sorted(self.given)
                  if name in BY_NAME and BY_NAME[name].kind != "object"}
        values.update({k: v for k, v in self.extra.items() if is_plain(v)})
        for name in ("presets", "companions", "proxy"):
            table = getattr(self, name)
            if isinstance(table, Mapping):
                values[name] = dict(table)
        if self.ssl and isinstance(self.ssl, Mapping):
            values["ssl"] = {k: self.ssl.get(k) for k in ("cert", "key", "password")}
        return values

    def __iter__(self) -> Iterator[Tuple[str, Any]]:
        for name in BY_NAME:
            yield name, getattr(self, name)
        yield from self.extra.items()


def is_plain(value: Any) -> bool:
    """Whether another process gets the same value as JSON."""
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return value is None or type(value) in (str, int, float, bool)


def parse_bind(text: str, default_port: int = 8000) -> Sequence[Tuple[Optional[str], Any]]:
    """Addresses of a `--bind` value: pairs of host and port, or of None and a socket path."""
    found: List[Tuple[Optional[str], Any]] = []
    for part in text.split(","):
        part = part.strip()
        host, colon, port = part.rpartition(":")
        if "/" in part or (not colon and part and not part.isdigit()):
            found.append((None, part))
            continue
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            port = "x"  # IPv6 wants brackets
        if not (port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ConfigurationError(
                f'Invalid --bind value "{part}". It must be HOST:PORT, :PORT, [IPV6]:PORT or '
                "the path of a socket")
        found.append((host or "127.0.0.1", int(port)))
    return found
