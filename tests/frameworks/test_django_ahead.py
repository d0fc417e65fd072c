"""What importing Django ahead of the fork rests on: none of its own modules decides by whether it
is set up, while it is imported (see `tremolo.worker.looks`)."""

import json
import subprocess
import sys

import pytest

from tests.support.processes import ROOT

pytest.importorskip("django")

PROBE = """
import importlib, json, pkgutil, sys
import django.apps.registry, django.conf
from tremolo.worker.looks import ATTRIBUTES

readers = []

def watch(kind, attributes):
    read = kind.__getattribute__

    def read_watched(owner, name):
        if name in attributes:
            frame = sys._getframe(1)
            readers.append(frame.f_globals["__name__"] + " " + frame.f_code.co_name)
        return read(owner, name)

    kind.__getattribute__ = read_watched

for (module, name), attributes in ATTRIBUTES.items():
    watch(getattr(sys.modules[module], name), attributes)
imported, looked = 0, set()
for found in pkgutil.walk_packages(django.__path__, "django.", onerror=lambda name: None):
    if ".gis" in found.name or found.name.endswith("__main__"):
        continue
    readers.clear()
    try:
        importlib.import_module(found.name)
    except BaseException:
        continue  # it is not had ahead either
    imported += 1
    looked.update(readers)
print(json.dumps([imported, sorted(looked)]))
"""


def test_no_module_of_django_that_can_be_had_ahead_looks_whether_django_is_set_up():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROBE], capture_output=True,
                          text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    imported, looked = json.loads(done.stdout.splitlines()[-1])
    assert imported > 300
    # Who connects to a signal is checked in debug mode, and connected in any case.
    assert looked == ["django.conf configured", "django.dispatch.dispatcher connect"]
