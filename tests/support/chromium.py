"""A real browser for tests: chromium without a window, driven over the DevTools protocol.

Knows the browser and its protocol; nothing of what is tested. Starts with an empty profile,
talks to this machine only, and everything that waits has a deadline.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

from websockets.sync.client import connect

from tests.support.processes import wait_until

DEADLINE = 15.0
PATH = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--disable-extensions", "--disable-default-apps",
    "--no-default-browser-check", "--mute-audio", "--remote-debugging-port=0",
    # Nothing but this machine can be reached, whatever a page or the browser itself asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE *.localhost , "
    "EXCLUDE 127.0.0.1",
)


class Chromium:
    """One browser process. `page()` opens a tab. `home` is the folder in which it looks for what
    the user has set, as certificates that are trusted."""

    def __init__(self, home=None):
        self._folder = tempfile.mkdtemp(prefix="chromium-")
        self._process = subprocess.Popen(
            [PATH, *FLAGS, f"--user-data-dir={self._folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, **({"HOME": str(home)} if home else {})})
        try:
            self.port = wait_until(self._read_port, "chromium's port", 20)
        except BaseException:
            self.close()
            raise

    def _read_port(self):
        assert self._process.poll() is None, "chromium ended at once"
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(os.path.join(self._folder, "DevToolsActivePort")) as file:
                return int(file.read().split()[0])

    @contextlib.contextmanager
    def page(self, url="about:blank"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            target = json.load(response)
        with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                page.call(f"{domain}.enable")
            if url != "about:blank":
                page.go(url)
            try:
                yield page
            finally:
                page.call("Page.close")

    def close(self):
        # The whole session that this object started, by its id.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE)
        shutil.rmtree(self._folder, ignore_errors=True)


class Page:
    """One tab. `console` are the messages that it and the browser wrote about it."""

    def __init__(self, socket):
        self._socket = socket
        self._last = 0
        self.console = []

    def call(self, method, **params):
        """One command of the protocol; its result."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        end = time.monotonic() + DEADLINE
        while True:
            message = json.loads(self._socket.recv(timeout=max(0.01, end - time.monotonic())))
            if message.get("id") == self._last:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            if message.get("method") == "Runtime.consoleAPICalled":
                self.console.append(" ".join(
                    str(item.get("value")) for item in message["params"]["args"]))
            elif message.get("method") == "Log.entryAdded":
                self.console.append(message["params"]["entry"]["text"])
            elif message.get("method") == "Runtime.exceptionThrown":
                self.console.append(str(message["params"]["exceptionDetails"]))

    def go(self, url):
        """Open an address and wait until its page is parsed."""
        self.call("Page.navigate", url=url)
        self.until(f"location.href.startsWith({json.dumps(url)})"
                   " && document.readyState !== 'loading'")

    def value(self, expression):
        """What an expression is worth in the page, once it is no promise any more."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, expression, deadline=DEADLINE):
        """Wait until an expression is true; while the page changes there may be none at all."""
        def holds():
            try:
                return self.value(f"Boolean({expression})")
            except AssertionError:
                return False

        try:
            return wait_until(holds, expression, deadline)
        except AssertionError as exc:
            raise AssertionError(f"{exc}; console: {self.console[-10:]}") from None
