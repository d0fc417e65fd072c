"""Where programs written for earlier versions find the application class and the version.

Knows nothing of its own.
"""

from . import Application, Tremolo, __version__

__all__ = ["Application", "Tremolo", "__version__"]
