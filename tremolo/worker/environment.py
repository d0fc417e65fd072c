"""What the application finds when it is imported: its folder, and its variables."""

import os
import time
from typing import Any, Mapping

from ..config import Settings
from ..exceptions import ConfigurationError

HOME_LIMIT = 1.0  # seconds in which a project's folder may be moved away and back


def enter_home(home: str) -> None:
    """Go to the folder of that name now, which need not be that of the zygote.
    Raises ConfigurationError if there is none."""
    deadline = time.monotonic() + HOME_LIMIT
    while True:
        try:
            os.chdir(home)
            return
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise ConfigurationError(f'No such folder: "{home}"') from None
        time.sleep(0.01)


def load_variables(start: Mapping[str, Any], settings: Settings) -> None:
    """What files add to the environment, in the order in which the first that has a name wins."""
    from ..envfile import read_env_files

    for name, value in {**start["app"].get("environ", {}), **read_env_files(
            settings, bool(start.get("dev")), start.get("home", "")).values}.items():
        os.environ.setdefault(name, value)
