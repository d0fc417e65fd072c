"""What only shows in processes of their own: memory limits, several addresses with options of
their own, locks between workers, clocks of handlers."""

import http.client
import re
import socket
import threading

import pytest

from tests.support.processes import Server, wait_until

MANY = """
import asyncio, os, sys
from tremolo import Tremolo

app = Tremolo()
kept = []

@app.route('/')
async def index(context, request):
    return '%d %d' % (os.getpid(), len(await request.body()))

@app.route('/mine')
async def mine(context):
    return str(context.options.get('mine'))

@app.route('/grow')
async def grow():
    kept.append(b'x' * 150_000_000)
    return str(os.getpid())

@app.route('/wait')
async def wait():
    try:
        await asyncio.sleep(30)
    finally:
        with open('ended', 'w') as file:
            file.write('yes')

@app.route('/alone')
async def alone(lock):
    async with lock:
        with open('log', 'a') as file:
            file.write('%d in\\n' % os.getpid())
        await asyncio.sleep(0.005)
        with open('log', 'a') as file:
            file.write('%d out\\n' % os.getpid())
    return 'done'

ADDRESSES
if __name__ == '__main__':
    app.run('127.0.0.1', PORT, OPTIONS)
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Script:
    """A script that serves; `ask` sends requests to it."""

    def __init__(self, folder, options, addresses="", port=None):
        self.port = port or free_port()
        path = folder / "many.py"
        path.write_text(MANY.replace("ADDRESSES", addresses).replace("OPTIONS", options)
                        .replace("PORT", str(self.port)))
        self.server = Server(folder, script=[path], json=False,
                             TMPDIR=str(folder))

    def __enter__(self):
        wait_until(lambda: "tremolo serves" in "".join(self.server.errors), "its start")
        return self

    def __exit__(self, *exc_info):
        try:
            assert self.server.end() == 0, self.server.said()
        finally:
            self.server.close()

    def ask(self, target="/", body=None, port=None, sock=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=15)
        if sock is not None:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(sock)
        try:
            connection.request("GET" if body is None else "POST", target, body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_over_limit_memory_is_replaced(tmp_path, workers):
    with Script(tmp_path, f"worker_num={workers}, limit_memory=120_000") as script:
        grown = script.ask("/grow")[1]
        script.ask("/grow")

        def replaced():
            try:
                return script.ask("/")[1].split()[0] != grown
            except OSError:
                return False  # the switch must not refuse anybody, but this is about memory

        wait_until(replaced, "another worker")
        wait_until(lambda: "has grown to" in script.server.said(), "a word about it")


@pytest.mark.parametrize("workers", [1, 2])
def test_addresses_have_options_of_their_own(tmp_path, workers):
    port, path = free_port(), str(tmp_path / "own.sock")
    addresses = (f"app.listen({port}, '127.0.0.1', client_max_body_size=10, mine='second')\n"
                 f"app.listen({path!r}, mine='third')\n")
    options = f"worker_num={workers}, client_max_body_size=100, mine='first'"
    with Script(tmp_path, options, addresses) as script:
        assert script.ask("/mine") == (200, "first")
        assert script.ask("/mine", port=port) == (200, "second")
        assert script.ask("/mine", sock=path) == (200, "third")
        assert script.ask(body=b"x" * 50)[0] == 200
        assert script.ask(body=b"x" * 50, port=port) == (413, "Payload Too Large\n")
        assert script.ask(body=b"x" * 50, sock=path)[0] == 200
        assert script.ask(body=b"x" * 150)[0] == 413


def test_a_lock_excludes_other_workers(tmp_path):
    with Script(tmp_path, "worker_num=2") as script:
        threads = [threading.Thread(target=script.ask, args=("/alone",)) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 60
    for entered, left in zip(lines[::2], lines[1::2]):
        assert re.fullmatch(r"\d+ in", entered) and left == entered.replace("in", "out")
    assert len({line.split()[0] for line in lines}) == 2


def test_a_handler_that_takes_too_long_is_answered_with_504(tmp_path):
    with Script(tmp_path, "app_handler_timeout=0.3") as script:
        status, text = script.ask("/wait")
        assert (status, text) == (504, "Gateway Timeout: the handler took too long\n")
        wait_until((tmp_path / "ended").exists, "its cancellation")
        assert script.ask()[0] == 200


def test_a_handler_without_a_client_is_cancelled_after_app_close_timeout(tmp_path):
    with Script(tmp_path, "app_close_timeout=0.2, app_handler_timeout=0") as script:
        with socket.create_connection(("127.0.0.1", script.port)) as sock:
            sock.sendall(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert script.ask()[0] == 200  # the other is being handled by now
            assert not (tmp_path / "ended").exists()
        wait_until((tmp_path / "ended").exists, "its cancellation")
