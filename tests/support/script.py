"""Runs a script as `python SCRIPT ARGUMENTS` does, in a process that a launcher forked with all
imported that a script which serves imports of us."""

import os
import runpy
import sys

from tests.support.launcher import launcher

AHEAD = ("asyncio", "html", "http", "inspect", "multiprocessing.context", "ssl", "tempfile",
         "uvloop", "tremolo.app.adapter", "tremolo.app.application", "tremolo.inprocess",
         "tremolo.launch", "tremolo.net.server", "tremolo.supervisor.plain",
         "tremolo.worker.sampler", "tremolo.worker.watchdog")


def scripts():
    """The launcher of scripts, or None where forked interpreters are not to be trusted."""
    return launcher("tests.support.script", AHEAD)


def main(path, *arguments):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]  # the script's own may be called so
    sys.argv[:] = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    runpy.run_path(path, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
