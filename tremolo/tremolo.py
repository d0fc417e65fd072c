"""Where programs written for earlier versions find the application class and the version.

Knows nothing of its own.
"""

from . import __version__
from .app.application import Application, Tremolo

__all__ = ["Application", "Tremolo", "__version__"]
