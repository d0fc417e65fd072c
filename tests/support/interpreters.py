"""Zygotes and workers for supervisors that a launcher forked: they are forked as well.

One process has imported what each zygote imports first (`CORE`), and nothing of the supervisor.
It is asked over a socket, and becomes in each fork what a fresh interpreter would be: the call
that `tremolo.supervisor.bootstrap` names, with the descriptors, streams, working folder,
environment and ignored signals of the supervisor. Only its parent is another: that reports the
end of each process to the supervisor with SIGCHLD and its status.
"""

import ast
import contextlib
import fcntl
import gc
import importlib
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

SIZE = 256 * 1024
CALL = re.compile(r"from ([\w.]+) import (\w+) as f\nsys\.exit\(f\((.*)\)\)\n$")
HIGH = 200  # where no descriptor of a young process is


def freeze():
    """Have what was imported be nothing that forks collect, at their end neither: that would copy
    all its pages in each."""
    gc.collect()
    gc.freeze()


def look_in_more_folders(root):
    """Have on the path what PYTHONPATH names after `root`, as an interpreter would."""
    entries = os.environ["PYTHONPATH"].split(os.pathsep)
    after = sys.path.index(root) + 1
    sys.path[after:after] = entries[entries.index(root) + 1:]


# -- in the process that forks -------------------------------------------------------------------

def main(life, listening):
    from tremolo.supervisor.spawner import CORE, LOOP

    for name in [name for name in sys.modules if name.startswith("tremolo")]:
        del sys.modules[name]  # its package, which no zygote has
    for name in (*CORE, "tremolo.supervisor.zygote"):
        importlib.import_module(name)
    with contextlib.suppress(ImportError):
        importlib.import_module(LOOP)
    asked = serve(life, listening)
    if asked is not None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]  # the application's name may be the same
        function = getattr(importlib.import_module(asked["module"]), asked["function"])
        sys.argv[:] = ["-c"]
        sys.exit(function(*asked["arguments"]))


def serve(life, listening):
    """Fork for whoever asks, until `life` ends. Returns in each new process what was asked."""
    life, listening = (socket.socket(fileno=fd) for fd in (life, listening))
    freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the tests
    wake, theirs = socket.socketpair()
    for end in (wake, theirs):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    children = {}
    with selectors.DefaultSelector() as selector:
        for sock in (life, listening, wake):
            selector.register(sock, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if life in ready:
                return None
            if wake in ready:
                wake.recv(4096)
                _report(children)
            if listening in ready:
                client, _ = listening.accept()
                data, fds, _, _ = socket.recv_fds(client, SIZE, 64)
                if not data:  # killed before it could ask
                    client.close()
                    continue
                asked = json.loads(data)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for sock in (life, listening, wake, theirs, client,
                                 *(sock for _, sock in children.values())):
                        sock.close()
                    selector.close()
                    _become(asked, fds)
                    return asked
                for fd in fds:
                    os.close(fd)
                children[pid] = asked["supervisor"], client
                with contextlib.suppress(OSError):  # killed before it could be answered
                    client.send(str(pid).encode())


def _report(children):
    """Tell the supervisors whose children have ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        supervisor, client = children.pop(pid)
        with client, contextlib.suppress(OSError):
            client.send(str(status).encode())
            os.kill(supervisor, signal.SIGCHLD)


def _become(asked, fds):
    os.setpgid(0, asked["group"])
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, HIGH) for fd in fds]
    for fd in fds:
        os.close(fd)
    folder, *rest = high
    os.fchdir(folder)
    os.close(folder)
    for number, fd in zip(asked["numbers"], rest):
        os.dup2(fd, number)
        os.close(fd)
    os.umask(asked["umask"])
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in asked["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(asked["environ"])
    time.tzset()
    look_in_more_folders(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))


# -- in a supervisor -----------------------------------------------------------------------------

class Forked:
    """What the supervisor knows of a process that was forked for it, as `subprocess.Popen`."""

    def __init__(self, address, call, pass_fds, env):
        module, function, arguments = call
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.connect(address)
        numbers = [0, 1, 2, *pass_fds]
        umask = os.umask(0)
        os.umask(umask)
        asked = {"module": module, "function": function, "numbers": numbers, "umask": umask,
                 "arguments": ast.literal_eval(f"({arguments},)"), "environ": env,
                 "supervisor": os.getpid(), "group": os.getpgrp(),
                 "ignored": [number for number in signal.valid_signals()
                             if signal.getsignal(number) is signal.SIG_IGN]}
        folder = os.open(".", os.O_RDONLY)
        try:
            socket.send_fds(self._sock, [json.dumps(asked).encode()], [folder, *numbers])
        finally:
            os.close(folder)
        self.pid = int(self._sock.recv(64))
        self.returncode = None

    def poll(self):
        return self._look(socket.MSG_DONTWAIT)

    def wait(self):
        return self._look(0)

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _look(self, flags):
        if self.returncode is None:
            try:
                status = self._sock.recv(64, flags)
            except BlockingIOError:
                return None
            self.returncode = os.waitstatus_to_exitcode(int(status)) if status else -9
            self._sock.close()
        return self.returncode


def use(address, starts_the_same):
    """Have this process start its zygotes and workers by the one that listens at `address`,
    as long as an interpreter would start as that one did."""
    from tremolo.supervisor import spawner

    def start(command, pass_fds, env):
        call = CALL.search(command[-1])
        if call is None or len(command) != 3 or not starts_the_same(env):
            return subprocess.Popen(command, pass_fds=pass_fds, env=env)
        return Forked(address, call.groups(), pass_fds, env)

    spawner.subprocess = SimpleNamespace(Popen=start)


# -- in the tests --------------------------------------------------------------------------------

class Interpreters:
    """Our end of the process that forks, which ends with this process."""

    def __init__(self, environ):
        self.address = f"\0tremolo-tests-{os.getpid()}-{time.monotonic_ns()}"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(self.address)
        listening.listen(16)
        self._life, theirs = socket.socketpair()
        fds = theirs.fileno(), listening.fileno()
        source = ("import sys; del sys.path[0]; from tests.support.interpreters import main; "
                  f"main{fds}")
        self._process = subprocess.Popen([sys.executable, "-c", source], env=environ,
                                         stdin=subprocess.DEVNULL, pass_fds=fds)
        listening.close()
        theirs.close()
