"""Every code sample of the original description of Tremolo runs as it is written."""

import runpy
import subprocess
import sys
from pathlib import Path

from tests.app.serving import get, serve
from tremolo import Tremolo

ROOT = Path(__file__).parents[2]


def test_hello_world_that_yields():
    app = Tremolo()

    @app.route('/hello')
    async def hello_world(**server):
        yield b'Hello '
        yield b'world!'

    response = get(app, "/hello")
    assert response.body == b"Hello world!"
    assert response.header("transfer-encoding") == "chunked"


def test_a_big_file_is_served_piece_by_piece(tmp_path):
    path = tmp_path / "big.data"
    path.write_bytes(bytes(range(256)) * 4096)
    app = Tremolo()

    @app.route('/my/url/big.data')
    async def my_big_data(content_type='application/octet-stream', **server):
        # buffer_size = 16384
        buffer_size = server['context'].options['buffer_size']

        with open(path, 'rb') as f:
            chunk = True

            while chunk:
                chunk = f.read(buffer_size)
                yield chunk

    response = get(app, "/my/url/big.data")
    assert response.header("content-type") == "application/octet-stream"
    assert response.body == path.read_bytes()


def test_hello_world_that_returns_text_and_charset():
    app = Tremolo()

    @app.route('/hello')
    async def hello_world(**server):
        return 'Hello world!', 'latin-1'

    response = get(app, "/hello")
    assert response.text == "Hello world!"
    assert response.header("content-length") == "12"


def test_the_asgi_sample_is_served():
    async def app(scope, receive, send):
        assert scope['type'] == 'http'

        await send({
            'type': 'http.response.start',
            'status': 200,
            'headers': [
                (b'content-type', b'text/plain')
            ]
        })

        await send({
            'type': 'http.response.body',
            'body': b'Hello world!'
        })

    response = get(app, "/", lifespan="off")
    assert response.body == b"Hello world!"


def test_listen_adds_ports_to_those_of_run():
    app = Tremolo()
    assert app.listen(8001)
    assert app.listen(8002)
    assert not app.listen(8001)
    assert list(app.ports) == [(None, 8001), (None, 8002)]


def test_the_hello_example_is_importable_and_serves():
    app = runpy.run_path(str(ROOT / "examples" / "hello.py"))["app"]

    async def scenario(client):
        assert (await client.get("/hello")).text == "Hello world!"
        assert (await client.get("/stream")).text == "Hello world!"
        assert (await client.get("/hi/you?x=1")).text == "Hi, you!"
        assert (await client.get("/")).status == 200

    serve(app, scenario)


def test_importing_the_framework_loads_no_dashboard():
    code = ("import sys, tremolo.app.adapter; "
            "sys.exit(any(n.split('.')[0] in ('textual', 'rich', 'watchfiles') "
            "for n in sys.modules))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
