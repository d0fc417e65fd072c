"""A server in development that is reached over TLS, and from other machines."""

import http.client
import os
import socket
import ssl
import stat

import pytest

from tests.support.processes import Server, project, wait_until
from tremolo.addresses import host_names, open_at


def fetch(server, host, context=None):
    """Status, headers and body of a page at this machine, under a name."""
    if context is None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=15,
                                                 context=context)
        raw = socket.create_connection(("127.0.0.1", server.port), 15)
        connection.sock = context.wrap_socket(raw, server_hostname=host)
    try:
        connection.request("GET", "/a?b", headers={"Host": f"{host}:{server.port}"})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_https_serves_with_a_certificate_of_ones_own_authority_and_redirects_to_it(tmp_path):
    pytest.importorskip("trustme")
    folder, state = tmp_path / "My Shop", tmp_path / "state"
    folder.mkdir()
    project(folder, "here")
    with Server(folder, "dev", "shop:app", "--port", "0", "--https",
                XDG_STATE_HOME=str(state)) as server:
        assert server.address.startswith("https://")
        context = ssl.create_default_context(cafile=str(state / "tremolo" / "ca.pem"))
        for host in ("localhost", "127.0.0.1", "my-shop.localhost"):
            assert fetch(server, host, context)[::2] == (200, b"here")
        status, headers, _ = fetch(server, "localhost")
        assert (status, headers["location"]) == (
            307, f"https://localhost:{server.port}/a?b")
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(server, "localhost", ssl.create_default_context())
        files = sorted(os.listdir(state / "tremolo"))
        assert files[:2] == ["ca-key.pem", "ca.pem"]
        for name in files:
            assert stat.S_IMODE((state / "tremolo" / name).stat().st_mode) == 0o600
        assert stat.S_IMODE((state / "tremolo").stat().st_mode) == 0o700
        said = server.control("trust", "--print")
        assert str(state / "tremolo" / "ca.pem") in said
    with Server(folder, "dev", "shop:app", "--port", "0", "--https",
                XDG_STATE_HOME=str(state)) as server:
        assert fetch(server, "localhost", context)[0] == 200
        assert sorted(os.listdir(state / "tremolo")) == files, "made once"


def test_a_plain_request_without_a_sane_host_is_not_redirected(tmp_path):
    pytest.importorskip("trustme")
    project(tmp_path, "here")
    with Server(tmp_path, "run", "shop:app", "--port", "0", "--https",
                XDG_STATE_HOME=str(tmp_path / "state")) as server:
        port = server.port
        for head in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
                     b"GET http://evil/ HTTP/1.1\r\nHost: x\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), 15) as sock:
                sock.sendall(head)
                assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_lan_says_where_others_find_it_and_accepts_the_names_of_this_machine(tmp_path):
    project(tmp_path, "here")
    names = host_names()
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--lan") as server:
        hello = server.wait_for("hello")
        port = server.port
        assert hello["addresses"] == [f"http://{host}:{port}" for host in open_at("0.0.0.0")]
        assert any("everybody in this network" in event["text"] for event in server.find("log"))
        for name in names:
            assert fetch(server, name)[::2] == (200, b"here")
        assert fetch(server, "evil.example")[0] == 403
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        for name in names:
            assert fetch(server, name)[0] == 403


def test_several_projects_have_a_name_each(tmp_path):
    for name in ("My Shop", "blog"):
        (tmp_path / name).mkdir()
        project(tmp_path / name, name)
    with Server(tmp_path / "My Shop", "dev", "shop:app", "--port", "0") as shop, \
            Server(tmp_path / "blog", "dev", "shop:app", "--port", "0") as blog:
        for server, host, text in ((shop, "my-shop.localhost", b"My Shop"),
                                   (blog, "blog.localhost", b"blog")):
            assert server.wait_for("hello")["local"] == f"http://{host}:{server.port}"
            assert fetch(server, host)[::2] == (200, text)


def test_the_name_of_the_project_is_said(tmp_path):
    folder = tmp_path / "blog"
    folder.mkdir()
    project(folder)
    with Server(folder, "dev", "shop:app", "--port", "0", "--plain", json=False) as server:
        wait_until(lambda: any("(1 worker), also http://blog.localhost:" in line
                               for line in server.errors), "the name")
