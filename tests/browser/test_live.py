"""What applications do beside pages, as a real browser sees it: streams, events, WebSockets,
media."""

import contextlib
import wave

import pytest

from tests.support.processes import Server

APP = '''
import asyncio
import json
import pathlib

from tremolo import Tremolo

app = Tremolo()
gate = asyncio.Event()
ranges = []
VERSION = "one"


@app.route("/")
async def index():
    return ("<!doctype html><title>live</title><link rel=icon href=data:,>"
            "<audio preload=none src=/sound.wav></audio>")


@app.route("/stream")
async def stream(content_type="text/plain"):
    yield b"first"
    await gate.wait()
    yield b"second"


@app.route("/go")
async def go():
    gate.set()
    return "gone"


@app.route("/events")
async def events(sse=None):
    while True:
        await sse.send(VERSION, retry=100)
        await asyncio.sleep(0.05)


@app.route("/echo")
async def echo(websocket=None):
    await websocket.accept()
    async for message in websocket:
        await websocket.send(message)


@app.route("/sound.wav")
async def sound(request, response):
    ranges.extend(value.decode() for value in request.headers.getlist(b"range"))
    await response.sendfile(pathlib.Path(__file__).with_name("sound.wav"),
                            content_type="audio/wav")


@app.route("/ranges")
async def tell_ranges(content_type="application/json"):
    return json.dumps(ranges)
'''
SECONDS, RATE = 120, 44100
MIDDLE = 40_000 * 100


def write_sound(path):
    """A file of 21 MB that a browser plays; its bytes tell where in it one is."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        second = b"".join(b"%04d" % (n % 10_000) for n in range(RATE))
        for _ in range(SECONDS):
            file.writeframesraw(second)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "live.py").write_text(APP)
    return tmp_path


@contextlib.contextmanager
def opened(browser, project, *options):
    """The application, without the refresh of pages, and a tab with its page."""
    with Server(project, "dev", "--port", "0", "--no-browser-reload", *options,
                "live:app") as server:
        server.wait_for("reload", state="ready")
        with browser.page(server.address + "/") as page:
            yield page, server


def test_fetch_reads_a_stream_while_it_is_made(browser, project):
    with opened(browser, project) as (page, _):
        page.value("fetch('/stream').then(response => { reader = response.body.getReader(); })"
                   ".then(() => { text = new TextDecoder(); })")
        assert page.value("reader.read().then(piece => text.decode(piece.value))") == "first"
        assert page.value("fetch('/go').then(response => response.text())") == "gone"
        assert page.value("reader.read().then(piece => text.decode(piece.value))") == "second"
        assert page.value("reader.read().then(piece => piece.done)") is True


def test_an_event_source_comes_back_to_the_new_code(browser, project):
    with opened(browser, project) as (page, _):
        page.value("heard = []; errors = 0; source = new EventSource('/events');"
                   "source.onmessage = event => heard.push(event.data);"
                   "source.onerror = () => { errors += 1; }; 0")
        page.until("heard.includes('one')")
        (project / "live.py").write_text(APP.replace('"one"', '"two"'))
        page.until("heard.includes('two')")
        assert page.value("source.readyState") == 1
        assert page.value("heard.lastIndexOf('one') < heard.indexOf('two')")
        assert page.value("errors") == 1
        assert not page.console


def test_a_websocket_compresses_and_keeps_what_is_sent(browser, project):
    with opened(browser, project) as (page, _):
        page.value("""new Promise((resolve, reject) => {
            socket = new WebSocket(location.href.replace('http', 'ws') + 'echo');
            socket.binaryType = 'arraybuffer';
            answers = [];
            socket.onmessage = event => answers.push(event.data);
            socket.onclose = event => { code = event.code; };
            socket.onopen = resolve;
            socket.onerror = reject;
        }).then(() => 0)""")
        assert page.value("socket.extensions").startswith("permessage-deflate")
        page.value("message = 'Größe \\u{1F600} '.repeat(20000); socket.send(message);"
                   "bytes = crypto.getRandomValues(new Uint8Array(60000));"
                   "socket.send(bytes); socket.send(''); 0")
        page.until("answers.length === 3")
        assert page.value("answers[0] === message && answers[2] === ''")
        assert page.value("new Uint8Array(answers[1]).every((byte, at) => byte === bytes[at])")
        # Other code takes over: the client is told to come back.
        (project / "live.py").write_text(APP.replace('"one"', '"two"'))
        page.until("socket.readyState === 3")
        assert page.value("code") == 1012


def test_media_are_sought_in_by_ranges(browser, project):
    write_sound(project / "sound.wav")
    # So slowly that what is sought for cannot have come by itself.
    with opened(browser, project, "--throttle", "/sound.wav: down=16Mbit") as (page, _):
        page.value("sound = document.querySelector('audio'); sound.preload = 'metadata'; 0")
        page.until("sound.readyState >= 1")
        assert page.value("Math.round(sound.duration)") == SECONDS
        page.value("new Promise(resolve => { sound.onseeked = resolve; "
                   "sound.currentTime = 100; }).then(() => 0)")
        page.until("sound.readyState >= 2 && sound.currentTime === 100")
        asked = page.value("fetch('/ranges').then(response => response.json())")
        offsets = [int(text.partition("=")[2].partition("-")[0]) for text in asked]
        assert any(offset > 90 * RATE * 4 for offset in offsets), asked
        wanted = f"bytes={44 + MIDDLE}-{44 + MIDDLE + 7}"
        piece = page.value(
            f"fetch('/sound.wav', {{headers: {{Range: '{wanted}'}}}})"
            ".then(response => response.text().then(text => [response.status, text]))")
        frame = MIDDLE // 4 % RATE
        assert piece == [206, f"{frame % 10_000:04d}{(frame + 1) % 10_000:04d}"]
