"""Requests that are held for a viewer, routes that are mocked, messages sent by hand."""

import base64
import json
import socket
import threading
import time

import pytest

from tests.support.processes import Server, wait_until
from tests.support.websocket_peer import TEXT, frame, handshake
from tremolo.telemetry.codec import LineDecoder, encode

ECHO = '''
async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    if scope["type"] != "http":
        raise NotImplementedError
    role = dict(scope["headers"]).get(b"x-role", b"").decode()
    body = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} {role}".encode()
    if scope["path"] == "/body":
        fields, got, more = dict(scope["headers"]), b"", True
        while more:
            event = await receive()
            got, more = got + event["body"], event["more_body"]
        body = got + b" " + fields.get(b"content-length", b"-") + fields.get(
            b"transfer-encoding", b"")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
'''


class Viewer:
    """A viewer on the control socket."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX)
        (path,) = {path.resolve() for path in server.runtime.glob("tremolo/*.sock")}
        self.sock.connect(str(path))
        self.sock.settimeout(20)
        self.decoder, self.messages, self.seq = LineDecoder(), [], 0

    def until(self, found):
        deadline = time.monotonic() + 20
        while True:
            assert time.monotonic() < deadline, "it was not told"
            for message in self.messages:
                if found(message):
                    self.messages.remove(message)
                    return message
            self.messages += [message for _, message in self.decoder.feed(self.sock.recv(65536))]

    def ask(self, name, **args):
        self.seq += 1
        seq = self.seq
        self.sock.sendall(encode({"v": 1, "kind": "command", "seq": seq, "name": name,
                                  "args": args}))
        return self.until(lambda m: m["kind"] == "ack" and m["seq"] == seq)

    def row(self, path):
        """That of a request which has been answered."""
        def ended(row):
            return row["path"] == path and row["state"] == "done"

        frame = self.until(lambda m: any(map(ended, m.get("rows", ()))))
        self.messages.append(frame)  # there may be others in it
        return next(filter(ended, frame["rows"]))

    def held(self, state="held"):
        return self.until(lambda m: m["kind"] == "held" and m["state"] == state)


class Asking(threading.Thread):
    """A client that waits for its answer."""

    def __init__(self, server, path, **headers):
        super().__init__(daemon=True)
        self.server, self.path, self.headers, self.answer = server, path, headers, None
        self.start()

    def run(self):
        self.answer = self.server.get(self.path, **self.headers)

    def result(self):
        self.join(20)
        return self.answer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("echo")
    (folder / "shop.py").write_text(ECHO)
    with Server(folder, "dev", "shop:app", "--port", "0") as server:
        assert server.get("/")[0] == 200
        yield server


@pytest.fixture
def viewer(server):
    viewer = Viewer(server)
    yield viewer
    viewer.sock.close()


def release(viewer, held, **more):
    return viewer.ask("release", pid=held["pid"], id=held["id"], **more)


def test_what_matches_is_held_and_goes_on_changed(server, viewer):
    assert viewer.ask("intercept", hold="GET /api/*")["ok"]
    assert server.get("/else")[1] == b"GET /else? "
    asking = Asking(server, "/api/one?x=1", **{"X-Role": "guest"})
    held = viewer.held()
    assert (held["method"], held["path"]) == ("GET", "/api/one?x=1")
    assert 0 < held["seconds"] <= 45 and asking.answer is None
    assert release(viewer, held, method="PUT", target="/api/two?y=2",
                   headers={"X-Role": "admin"})["ok"]
    assert asking.result() == (200, b"PUT /api/two?y=2 admin")
    assert viewer.held("released")["id"] == held["id"]
    assert "not held any more" in release(viewer, held)["error"]


@pytest.mark.parametrize("path", ["/body", "/unread"])
@pytest.mark.parametrize("framed", [b"Content-Length: 3\r\n\r\nold",
                                    b"Transfer-Encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n",
                                    b"\r\n"], ids=["length", "chunked", "none"])
def test_the_body_of_one_that_is_held_is_changed(server, viewer, path, framed):
    """And the connection goes on, whether or not the application reads it."""
    assert viewer.ask("intercept", hold="h:x-held")["ok"]
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(20)
        client.sendall(b"POST %b HTTP/1.1\r\nHost: localhost\r\nX-Held: 1\r\n%b"
                       b"GET /next HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % (
                           path.encode(), framed))
        held = viewer.held()
        assert "base64" in release(viewer, held, body64="?")["error"]
        assert release(viewer, held, body64=base64.b64encode(b"changed").decode())["ok"]
        answers = b""
        while piece := client.recv(65536):
            answers += piece
    assert answers.count(b"HTTP/1.1 200") == 2 and b"GET /next? " in answers
    assert (b"changed 7" if path == "/body" else b"POST /unread? ") in answers


def test_the_time_for_which_one_is_held_is_not_counted_as_its_own(server, viewer):
    assert viewer.ask("detail", level=1)["ok"]
    assert viewer.ask("intercept", hold="/slow")["ok"]
    asking = Asking(server, "/slow")
    held = viewer.held()
    time.sleep(0.5)  # what is to be told apart
    assert release(viewer, held)["ok"]
    assert asking.result()[0] == 200

    row = viewer.row("/slow")
    assert row["held_ms"] >= 450 and row["ms"] < row["held_ms"]


def test_one_that_is_held_is_answered_by_hand(server, viewer):
    viewer.ask("intercept", hold="/api/*")
    asking = Asking(server, "/api/one")
    held = viewer.held()
    assert "200 to 599" in release(viewer, held, answer={"status": 99})["error"]
    assert "content-length" in release(viewer, held, headers={"Content-Length": "1"})["error"]
    body = base64.b64encode(b"by hand").decode()
    assert release(viewer, held, answer={"status": 418, "headers": [["x-by", "me"]],
                                         "body64": body})["ok"]
    assert asking.result() == (418, b"by hand")


def test_what_the_application_did_not_answer_says_so(server, viewer):
    viewer.ask("detail", level=1)
    viewer.ask("intercept", hold="/by-hand", mocks=[{"path": "/mocked", "status": 503,
                                                     "body64": ""}])
    asking = Asking(server, "/by-hand")
    release(viewer, viewer.held(), answer={"status": 418, "headers": [], "body64": ""})
    assert (asking.result()[0], server.get("/mocked")[0]) == (418, 503)
    assert viewer.row("/by-hand")["proxied"] == "hand"
    assert viewer.row("/mocked")["proxied"] == "mock"
    assert server.get("/else")[0] == 200 and "proxied" not in viewer.row("/else")


def test_nothing_is_held_for_a_viewer_that_is_gone(server, viewer):
    other = Viewer(server)
    other.ask("intercept", hold="/api/*",
              mocks=[{"path": "/mock", "status": 503, "body64": ""}])
    asking = Asking(server, "/api/one")
    other.held()
    assert server.get("/mock")[0] == 503
    other.sock.close()
    assert asking.result() == (200, b"GET /api/one? ")
    wait_until(lambda: server.get("/mock")[0] == 200, "the end of the mock")


def test_a_client_that_leaves_is_held_no_longer(server, viewer):
    viewer.ask("intercept", hold="/api/*")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /api/one HTTP/1.1\r\nHost: x\r\n\r\n")
        held = viewer.held()
    assert viewer.held("left")["id"] == held["id"]


@pytest.mark.parametrize("args, words", [
    ({"hold": "s:500"}, "at 1 of 's:500'"), ({"hold": ["x"]}, "a filter"),
    ({"mocks": [{"path": "/x", "status": "200"}]}, "status")])
def test_wrong_rules_are_refused(server, viewer, args, words):
    assert words in viewer.ask("intercept", **args)["error"]


def test_a_message_is_sent_over_a_websocket_and_it_is_closed_with_a_code(server, viewer):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(20)
        client.sendall(handshake(b"/ws") + frame(TEXT, b"hi"))
        while not client.recv(4096).endswith(b"\r\n\r\n"):
            pass
        viewer.ask("detail", level=2)
        told = viewer.until(lambda m: m["kind"] == "frame" and any(
            row.get("state") == "websocket" for row in m.get("connections", ())))
        conn = next(row["id"] for row in told["connections"] if row["state"] == "websocket")
        where = {"pid": told["pid"], "conn": conn}
        assert viewer.ask("message", text="by hand", **where)["ok"]
        assert client.recv(4096) == b"\x81\x07by hand"
        assert viewer.ask("message", data64="AP8=", **where)["ok"]
        assert client.recv(4096) == b"\x82\x02\x00\xff"
        assert "not a close code" in viewer.ask("message", close=1005 + 1, **where)["error"]
        assert viewer.ask("message", close=4001, reason="out of lamps", **where)["ok"]
        assert client.recv(4096)[2:] == b"\x0f\xa1out of lamps"
        assert "no such open" in viewer.ask("message", text="late", **where)["error"]
    assert json.dumps(viewer.messages)  # all of it was read
