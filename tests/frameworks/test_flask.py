"""Flask on the WSGI adapter."""

import io
import threading

import pytest

pytest.importorskip("httpx")
flask = pytest.importorskip("flask")

from tests.frameworks.clients import frameworks, wsgi_client  # noqa: E402
from tests.support.serving import pattern, run, until  # noqa: E402
from tests.support.wire import DEADLINE  # noqa: E402

pytestmark = frameworks
DATA = pattern(400_000)


def make_app(tmp_path, log):
    app = flask.Flask(__name__)
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)

    @app.get("/hello/<name>")
    def hello(name):
        return f"Hello {name} {flask.request.args.get('q', '')}"

    @app.post("/json")
    def json():
        return flask.jsonify(flask.request.get_json())

    @app.post("/upload")
    def upload():
        file = flask.request.files["file"]
        return {"name": file.filename, "size": len(file.read()),
                "field": flask.request.form["field"]}

    @app.post("/stream-in")
    def stream_in():
        total = 0
        while True:
            data = flask.request.stream.read(10_000)
            if not data:
                return str(total)
            total += len(data)

    @app.get("/stream")
    def stream():
        def pieces():
            try:
                for n in range(int(flask.request.args["n"])):
                    yield f"{n}\n" * 100
            finally:
                log.append("closed")
        return flask.Response(flask.stream_with_context(pieces()), mimetype="text/plain")

    @app.get("/file")
    def file():
        return flask.send_file(path, conditional=True)

    @app.get("/memory")
    def memory():
        return flask.send_file(io.BytesIO(DATA), mimetype="application/octet-stream")

    @app.get("/session")
    def session():
        flask.session["n"] = flask.session.get("n", 0) + 1
        return str(flask.session["n"])

    @app.get("/broken")
    def broken():
        raise KeyError("broken")

    @app.get("/thread")
    def thread():
        return threading.current_thread().name

    app.secret_key = "test"
    return app


def test_flask_answers_requests_of_every_kind(tmp_path):
    async def main():
        async with wsgi_client(make_app(tmp_path, [])) as client:
            assert (await client.get("/hello/w%C3%B6rld?q=%26")).text == "Hello wörld &"
            assert (await client.post("/json", json={"a": [1, "é"]})).json() == {"a": [1, "é"]}
            answer = await client.post("/upload", files={"file": ("é.bin", DATA)},
                                       data={"field": "x"})
            assert answer.json() == {"name": "é.bin", "size": len(DATA), "field": "x"}
            assert [(await client.get("/session")).text for _ in range(3)] == ["1", "2", "3"]
            assert (await client.get("/broken")).status_code == 500
            assert (await client.get("/none")).status_code == 404
            assert (await client.post("/hello/x")).status_code == 405
            assert (await client.head("/hello/x")).headers["content-length"] == "8"
            assert (await client.options("/hello/x")).headers["allow"]
            assert "tremolo-wsgi" in (await client.get("/thread")).text

    run(main)


def test_flask_streams_both_ways(tmp_path):
    async def body():
        for n in range(50):
            yield pattern(5000, n)

    async def main():
        async with wsgi_client(make_app(tmp_path, [])) as client:
            assert (await client.post("/stream-in", content=body())).text == "250000"
            text = (await client.get("/stream?n=100")).text
            assert text == "".join(f"{n}\n" * 100 for n in range(100))

    run(main)


def test_flask_sends_files_and_ranges_of_them(tmp_path):
    async def main():
        async with wsgi_client(make_app(tmp_path, [])) as client:
            whole = await client.get("/file")
            assert whole.content == DATA
            part = await client.get("/file", headers={"range": "bytes=100-299"})
            assert (part.status_code, part.content) == (206, DATA[100:300])
            last = await client.get("/file", headers={"range": "bytes=-50"})
            assert last.content == DATA[-50:]
            same = await client.get("/file", headers={"if-none-match": whole.headers["etag"]})
            assert (same.status_code, same.content) == (304, b"")
            assert (await client.get("/memory")).content == DATA

    run(main)


def test_flask_hears_of_a_client_that_leaves(tmp_path):
    log = []

    async def main():
        async with wsgi_client(make_app(tmp_path, log)) as client:
            async with client.stream("GET", "/stream?n=100000000") as response:
                async for _ in response.aiter_bytes():
                    break
            await until(lambda: log == ["closed"], DEADLINE)

    run(main)
