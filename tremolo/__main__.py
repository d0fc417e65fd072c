"""`python3 -m tremolo`."""

import os
import sys

if __name__ == "__main__":
    # The user's folder comes first on the path of `python3 -m`; only workers may look there,
    # or a file named rich.py beside the application would break the dashboard.
    if sys.path and sys.path[0] in ("", os.getcwd()) and not (
            getattr(sys.flags, "safe_path", False) or sys.flags.isolated):
        del sys.path[0]

    from tremolo.cli import main

    sys.exit(main())
