"""The native framework: routes, handlers, requests and responses on top of the connection
core.

Knows `net` and `protocol`; must not know ASGI, processes or telemetry.
"""

from .application import Application, Tremolo

__all__ = ["Application", "Tremolo"]
