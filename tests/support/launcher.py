"""Starts `python -m MODULE ...` as a process of its own by a fork, where nothing depends on how
an interpreter starts: a launcher that has imported once what they need, as the supervisor of the
command line, saves each of hundreds of processes doing so again.

What runs is the module as `__main__`, in a process with the environment, working folder and
streams that it is given, and nothing else that is open. A launcher has one thread and no event
loop.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time

from tests.support import interpreters

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: what each process of the command line would import by itself
COMMAND_LINE = ("asyncio", "http.client", "json", "logging", "runpy", "ssl",
                "subprocess", "watchfiles", "tremolo.cli", "tremolo.commands.clients",
                "tremolo.commands.serving", "tremolo.commands.viewing",
                "tremolo.discovery.choosing", "tremolo.supervisor.entry")
SIZE = 256 * 1024


def starts_the_same(one, other):
    """Whether an interpreter starts as well in one environment as in the other, but for folders
    in which the other looks for further modules (see `interpreters.look_in_more_folders`)."""
    names = {name for name in {*one, *other} if name != "PYTHONPATH" and name.startswith(
        ("PYTHON", "LC_", "LANG", "LD_", "OPENSSL", "SSL_", "TZ"))}
    return all(one.get(name) == other.get(name) for name in names) and not any(
        map(_hides_something, _further_folders(one, other)))


def _further_folders(one, other):
    ours, theirs = (environ.get("PYTHONPATH", "") for environ in (one, other))
    if ours == theirs:
        return []
    return theirs[len(ours) + 1:].split(os.pathsep) if theirs.startswith(
        ours + os.pathsep) else [""]


def _hides_something(folder):
    """Whether a module in a folder would be taken for one that is imported already."""
    names = {name.partition(".")[0] for name in os.listdir(folder)} if folder else {"sys"}
    return not names.isdisjoint({*_of_python(), "tremolo", "watchfiles", "uvloop"})


def _of_python():
    """Names of the standard library's modules."""
    if sys.version_info >= (3, 10):
        return sys.stdlib_module_names
    files = os.listdir(os.path.dirname(os.__file__))
    return {*sys.builtin_module_names, *(name.partition(".")[0] for name in files)}


# -- in the launcher ----------------------------------------------------------------------------

def serve(fd, ahead):
    """Import modules ahead, and fork what is asked for on the socket, until that is closed.
    Returns True in each new process, as an interpreter is before it runs a module; in the
    launcher False."""
    import importlib

    for name in ahead:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    interpreters.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the tests
    wake, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    asked = socket.socket(fileno=fd)
    with selectors.DefaultSelector() as selector:
        selector.register(asked, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if wake in ready:
                wake.recv(4096)
                for pid, status in _ended():
                    asked.send(json.dumps({"pid": pid, "status": status}).encode())
            if asked in ready:
                data, fds, _, _ = socket.recv_fds(asked, SIZE, 3)
                if not data:
                    return False
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for ours in (asked, wake, theirs):
                        ours.close()
                    _become(json.loads(data), fds)
                    return True
                for each in fds:
                    os.close(each)
                asked.send(json.dumps({"pid": pid}).encode())


def _ended():
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _become(asked, fds):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, each in enumerate(fds):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(asked["environ"])
    time.tzset()
    os.chdir(asked["cwd"])
    if asked["interpreters"]:
        interpreters.use(asked["interpreters"],
                         lambda environ: starts_the_same(asked["environ"], environ))
    interpreters.look_in_more_folders(ROOT)
    sys.path.insert(0, os.getcwd())
    sys.argv[:] = ["-m", *asked["arguments"]]


def main(fd, module, *ahead):
    if serve(fd, ahead):
        import runpy

        runpy.run_module(module, run_name="__main__", alter_sys=True)


# -- in the tests -------------------------------------------------------------------------------

class Launched:
    """A process that was forked by the launcher, with the methods of `subprocess.Popen` that
    tests use."""

    def __init__(self, launcher, pid, stdout, stderr):
        self._launcher = launcher
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            self.returncode = self._launcher.exit_code(self.pid, 0)
        return self.returncode

    def wait(self, timeout):
        """The exit code. Raises `subprocess.TimeoutExpired`."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            left = end - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired("tremolo", timeout)
            self.returncode = self._launcher.exit_code(self.pid, left)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Launcher:
    """Our end of a launcher of one module, which ends with this process. `environ` is added to
    the environment that its interpreter starts in."""

    def __init__(self, module, ahead, **environ):
        self._module = module
        self._lock = threading.Lock()
        self._statuses = {}
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        source = ("import sys; del sys.path[0]; from tests.support.launcher import main; "
                  f"main{(theirs.fileno(), module, *ahead)}")
        self.environ = dict(os.environ, PYTHONPATH=ROOT, PYTHONDONTWRITEBYTECODE="", **environ)
        self._process = subprocess.Popen([sys.executable, "-c", source], env=self.environ,
                                         stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))
        theirs.close()
        self._interpreters = (interpreters.Interpreters(self.environ) if module == "tremolo"
                              else None)

    def start(self, arguments, cwd, environ):
        """`python -m MODULE ARGUMENTS`, with nothing to read and two pipes to write to."""
        request = json.dumps({"arguments": [str(each) for each in arguments], "cwd": str(cwd),
                              "environ": environ, "interpreters": self._interpreters.address
                              if self._interpreters else ""}).encode()
        out, their_out = os.pipe()
        err, their_err = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        with self._lock:
            socket.send_fds(self._sock, [request], [nothing, their_out, their_err])
            for fd in (nothing, their_out, their_err):
                os.close(fd)
            pid = None
            while pid is None:
                pid = self._receive(None)
        return Launched(self, pid, os.fdopen(out, "rb"), os.fdopen(err, "rb"))

    def run(self, arguments, cwd, environ, timeout):
        """Start it, and wait for its end; what it said, as text."""
        process = self.start(arguments, cwd, environ)
        said = {}
        threads = [threading.Thread(target=lambda name=name, stream=stream: said.__setitem__(
            name, stream.read().decode()), daemon=True)
            for name, stream in (("out", process.stdout), ("err", process.stderr))]
        for thread in threads:
            thread.start()
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            for thread in threads:
                thread.join(timeout)
            process.stdout.close()
            process.stderr.close()
        return subprocess.CompletedProcess(
            [self._module, *arguments], code, said["out"], said["err"])

    def exit_code(self, pid, seconds):
        """What became of a process, if that is known within so many seconds."""
        end = time.monotonic() + seconds
        with self._lock:
            while pid not in self._statuses:
                try:
                    self._receive(max(end - time.monotonic(), 0))
                except (BlockingIOError, socket.timeout):
                    return None
            return os.waitstatus_to_exitcode(self._statuses[pid])

    def _receive(self, timeout):
        """Take in one message; the process id, if it tells of a new process."""
        self._sock.settimeout(timeout)
        data = self._sock.recv(SIZE)
        assert data, "the launcher has ended"
        message = json.loads(data)
        if "status" in message:
            self._statuses[message["pid"]] = message["status"]
            return None
        self._statuses.pop(message["pid"], None)
        return message["pid"]

    def would_run_the_same(self, environ):
        return starts_the_same(self.environ, environ)


_launchers = {}


def launcher(module="tremolo", ahead=COMMAND_LINE, **environ):
    """The launcher of a module in this process, or None where forked interpreters are not to be
    trusted."""
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        return None
    key = os.getpid(), module
    if key not in _launchers:
        _launchers[key] = Launcher(module, ahead, **environ)
    return _launchers[key]
