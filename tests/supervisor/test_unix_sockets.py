"""Unix sockets: who may connect."""

import os
import shutil
import socket
import tempfile

import pytest

from tests.support.processes import Server, project
from tremolo.app.serving import create_sock
from tremolo.config import Settings
from tremolo.exceptions import ConfigurationError
from tremolo.supervisor.listeners import Address, Listeners

NOBODY = 65534


@pytest.fixture
def folder():
    """A folder that everybody may enter."""
    path = tempfile.mkdtemp()
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize(("value", "mode"), [
    ("660", 0o660), ("0660", 0o660), ("0o666", 0o666), (0o600, 0o600), ("0", 0), ("777", 0o777)])
def test_the_mode_is_octal(value, mode):
    assert Settings(uds_mode=value).uds_mode == mode
    assert Settings(**Settings(uds_mode=value).as_dict()).uds_mode == mode


@pytest.mark.parametrize("value", ["", "rw", "888", "1777", "-1", 660, 0o1000, True, "6 6 0"])
def test_another_mode_is_refused(value):
    with pytest.raises(ConfigurationError, match=r"--uds-mode.*in octal"):
        Settings(uds_mode=value)


@pytest.mark.parametrize("umask", [0, 0o077])
@pytest.mark.parametrize(("mode", "own", "expected"), [
    (None, {}, 0o600), ("660", {}, 0o660), ("660", {"uds_mode": "666"}, 0o666)])
def test_a_socket_has_its_mode_whatever_the_umask(folder, mode, own, expected, umask):
    path = os.path.join(folder, "s")
    before = os.umask(umask)
    try:
        listeners = Listeners(Settings(**({} if mode is None else {"uds_mode": mode})))
        listeners.bind(Address(None, 0, path, own))
        assert os.stat(path).st_mode & 0o777 == expected
        listeners.close()
        with create_sock(None, path, mode=expected):
            assert os.stat(path).st_mode & 0o777 == expected
        assert os.umask(umask) == umask
    finally:
        os.umask(before)


def connects_as_nobody(path):
    """Whether a process of another user and group can connect."""
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            socket.socket(socket.AF_UNIX).connect(path)
        except PermissionError:
            os._exit(1)
        except BaseException:
            os._exit(2)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 1)
    return status == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize(("mode", "enters"), [("600", False), ("660", False), ("666", True)])
def test_another_user_may_connect_when_the_mode_says_so(folder, mode, enters):
    path = os.path.join(folder, "s")
    listeners = Listeners(Settings(uds_mode=mode))
    listeners.bind(Address(None, 0, path))
    try:
        assert connects_as_nobody(path) is enters
    finally:
        listeners.close()


def test_the_option_reaches_the_socket_of_a_server(tmp_path):
    project(tmp_path, "here")
    path = tmp_path / "web.sock"
    with Server(tmp_path, "run", "shop:app", "--bind", str(path),
                "--uds-mode", "660") as server:
        server.wait_for("hello")
        assert path.stat().st_mode & 0o777 == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert server.end() == 0
