"""Which event loop a worker runs on."""

import asyncio
import importlib
from typing import Optional

from ..exceptions import ConfigurationError


def new_loop(name: str,
             made: Optional[asyncio.AbstractEventLoop] = None) -> asyncio.AbstractEventLoop:
    """Make the loop that `--loop` asks for, and the current one.

    With `made`, the loop made before the application was imported: it is kept, unless the
    application has set another policy since. `auto` respects such a policy, too, then takes
    uvloop if it is installed. Raises ConfigurationError.
    """
    own_policy = name == "auto" and not _is_default_policy()
    if made is not None and not made.is_closed() and not own_policy:
        asyncio.set_event_loop(made)
        return made
    loop = asyncio.new_event_loop() if own_policy else _make(name)
    asyncio.set_event_loop(loop)
    return loop


def _is_default_policy() -> bool:
    return type(asyncio.get_event_loop_policy()).__module__.startswith("asyncio.")


def _make(name: str) -> asyncio.AbstractEventLoop:
    if name in ("auto", "uvloop"):
        try:
            uvloop = importlib.import_module("uvloop")
        except ImportError:
            if name == "uvloop":
                raise ConfigurationError(
                    "uvloop is not installed: pip install uvloop") from None
        else:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    if name in ("auto", "asyncio"):
        return asyncio.new_event_loop()
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)() if module else \
            importlib.import_module(name).new_event_loop()
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f'Invalid --loop value "{name}": {exc}') from None
    if not isinstance(found, asyncio.AbstractEventLoop):
        raise ConfigurationError(f'Invalid --loop value "{name}": it makes no event loop')
    return found
