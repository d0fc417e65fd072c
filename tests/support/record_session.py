"""Records a session of the dashboard's feed from a real run, for pictures and snapshot tests.

    python -m tests.support.record_session     writes tests/tui/recorded/shop.jsonl

A server of `recorded_shop.py` is started, clients use it, its code is saved well and badly; what
a viewer gets is written down, with processes, ports and instants that are always the same.
"""

import argparse
import http.client
import json
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from tests.support.processes import environment
from tests.support.websocket_peer import TEXT, frame, handshake
from tremolo.supervisor.bootstrap import command
from tremolo.telemetry.codec import LineDecoder, encode

HERE = pathlib.Path(__file__).parent
OUTPUT = HERE.parent / "tui" / "recorded" / "shop.jsonl"
SOURCE = HERE / "recorded_shop.py"
ROOT = HERE.parents[1]
BEGAN = 1_700_000_000.0  # where the recorded time starts
BROWSER = {"User-Agent": "Mozilla/5.0", "Accept": "*/*", "Cookie": "session=1f3c9a77; theme=dark"}


class Recorder(threading.Thread):
    """A viewer that keeps what it gets."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.messages, self.decoder = sock, [], LineDecoder()
        self.start()

    def run(self):
        while True:
            try:
                data = self.sock.recv(1 << 18)
            except OSError:
                return
            if not data:
                return
            self.messages += [message for _, message in self.decoder.feed(data)]

    def until(self, found, seconds=20.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for message in list(self.messages):
                if found(message):
                    return message
            time.sleep(0.02)
        raise AssertionError("it did not happen")


def ask(port, method, target, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = dict(BROWSER, **({"Content-Type": "application/json"} if body else {}))
    connection.request(method, target, body, headers)
    connection.getresponse().read()
    connection.close()


def use(port):
    """What a shop's clients do in a few seconds."""
    good = json.dumps({"items": [{"price": 12.5, "qty": 2}], "card": "4111", "token": "secret"})
    bad = json.dumps({"items": [{"name": "lamp", "qty": 2}], "token": "secret"})
    for turn in range(6):
        ask(port, "GET", "/")
        ask(port, "GET", f"/api/items/{(7, 9, 42)[turn % 3]}")
        ask(port, "GET", "/api/search?q=b%C3%BCro&page=" + str(turn))
        ask(port, "POST", "/api/checkout", bad if turn % 2 else good)
        time.sleep(0.12)


def talk(sock):
    for text in ("is the lamp there?", "and the desk?", "thanks"):
        sock.sendall(frame(TEXT, json.dumps({"text": text}).encode()))
        sock.recv(4096)
        time.sleep(0.2)
    sock.sendall(frame(9, b"alive?"))
    sock.recv(4096)


def record(folder):
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(command("tremolo.supervisor.entry", "main", theirs.fileno()),
                               cwd=folder, pass_fds=(theirs.fileno(),),
                               env=environment(folder), start_new_session=True)
    theirs.close()
    ours.sendall(encode({
        "v": 1, "kind": "launch", "app": {"target": "shop:app"}, "shown": "shop:app", "dev": True,
        "settings": {"port": 0, "reload": True}, "folder": str(folder),
        "home": str(folder)}))
    recorder = Recorder(ours)
    try:
        hello = recorder.until(lambda m: m["kind"] == "hello")
        recorder.until(lambda m: m["kind"] == "reload" and m["state"] == "ready")
        port = int(hello["addresses"][0].rpartition(":")[2])
        ours.sendall(encode({"v": 1, "kind": "command", "seq": 1, "name": "detail",
                             "args": {"level": 2}}))
        recorder.until(lambda m: m["kind"] == "ack")
        use(port)
        shop = folder / "shop.py"
        shop.write_text(shop.read_text() + "\n# saved\n")
        recorder.until(lambda m: m["kind"] == "reload" and m["state"] == "ready"
                       and m["gen"] == 2)
        chat = socket.create_connection(("127.0.0.1", port))
        chat.sendall(handshake(b"/ws/chat"))
        chat.recv(4096)
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(b"GET /news HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        use(port)
        talk(chat)
        time.sleep(1.5)
        shop.write_text(shop.read_text() + "\ndef broken(:\n")
        recorder.until(lambda m: m["kind"] == "reload" and m["state"] == "failed")
        time.sleep(0.3)
        for sock in (chat, stream):  # no FIN that would wait for the drain
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        return [message for message in recorder.messages if message["kind"] != "ack"], port
    finally:
        ours.close()
        process.wait(15)


def stable(messages, port, folder):
    """With processes, ports, paths and instants that are the same in each recording."""
    pids, began = {}, messages[0]["t"]

    def known(pid):
        return pids.setdefault(pid, 4711 + len(pids)) if pid else pid

    def clean(value, key=""):
        if isinstance(value, dict):
            return {name: clean(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [clean(item, key) for item in value]
        if key == "pid":
            return known(value)
        if key == "t" and isinstance(value, float):
            return round(value - began + BEGAN, 3)
        if isinstance(value, str):
            value = value.replace(str(folder), "/home/ada/shop").replace(f":{port}", ":8000")
            value = value.replace(sys.prefix, "/home/ada/shop/.venv")
            value = value.replace(str(ROOT), "/home/ada/shop/.venv/lib/site-packages")
            return re.sub(r"127\.0\.0\.1:(?!8000)\d+", "127.0.0.1:51234", value)
        return value

    return [clean(message) for message in messages]


def main(argv=None):
    argparse.ArgumentParser(prog="python -m tests.support.record_session", allow_abbrev=False,
                            description=f"Record a session into {OUTPUT.name}.").parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name, "shop")
        folder.mkdir()
        (folder / "shop.py").write_text(SOURCE.read_text())
        messages, port = record(folder)
        messages = stable(messages, port, folder)
    OUTPUT.parent.mkdir(exist_ok=True)
    with OUTPUT.open("w", encoding="utf-8") as file:
        for message in messages:
            file.write(json.dumps(message, separators=(",", ":")) + "\n")
    print(f"{len(messages)} messages in {OUTPUT}")


if __name__ == "__main__":
    main()
