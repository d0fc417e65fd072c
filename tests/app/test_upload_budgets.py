"""What an upload may cost: calls for each byte, and memory that its size does not change. Seconds
are measured by tests/benchmarks/upload.py."""

import asyncio
import platform
import socket
import sys
import threading

import pytest

from tests.app.serving import handler
from tremolo.app.adapter import NativeAdapter
from tremolo.config import Settings
from tremolo.net.server import Server

MIB = 1 << 20
BEGIN = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n')
END = b"\r\n--b--\r\n"

cpython = pytest.mark.skipif(platform.python_implementation() != "CPython",
                             reason="calls and memory are counted on CPython")


async def streamed(request):
    size = 0
    async for part in request.files(max_file_size=0):
        async for data in part.stream():
            size += len(data)
    return str(size)


async def held(request):
    return str(sum([part.size async for part in request.files()]))


async def raw(request):
    size = 0
    async for data in request.stream():
        size += len(data)
    return str(size - len(BEGIN) - len(END))


def send(address, size, answers):
    with socket.create_connection(address, 30) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                     b"Content-Type: multipart/form-data; boundary=b\r\n"
                     b"Content-Length: %d\r\n\r\n" % (len(BEGIN) + size + len(END)) + BEGIN)
        block = b"\r\n-\r" * (MIB // 4)
        for _ in range(size // MIB):
            sock.sendall(block)
        sock.sendall(END)
        answer = b""
        while True:
            data = sock.recv(65536)
            if not data:
                break
            answer += data
        answers.append(answer)


def upload(show, size, begin, end):
    """Upload `size` bytes; `begin()` and `end()` are called around it, on the server's thread."""
    answers = []

    async def main():
        settings = Settings(client_max_body_size=1 << 40, log_level="ERROR")
        adapter = NativeAdapter(handler(show), settings)
        await adapter.startup()
        server = Server(adapter, settings)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            await server.start([listening])
            client = threading.Thread(
                target=send, args=(listening.getsockname(), size, answers))
            begin()
            client.start()
            while client.is_alive():
                await asyncio.sleep(0.01)
            end()
            await server.drain(1.0)
        await adapter.shutdown()

    asyncio.run(main())
    assert answers[0].endswith(b"\r\n\r\n%d" % size)


@cpython
@pytest.mark.parametrize("show", [streamed, held, raw])
def test_the_memory_of_an_upload_does_not_grow_with_it(show):
    import tracemalloc

    peaks = []
    for size in (4 * MIB, 24 * MIB):
        upload(show, size, tracemalloc.start,
               lambda: peaks.append(tracemalloc.get_traced_memory()[1]) or tracemalloc.stop())
    assert peaks[1] < 8 * MIB
    # Of 20 MiB more, no more than how much else may be on its way when most is.
    assert peaks[1] - peaks[0] < 2 * MIB


@cpython
def test_the_calls_of_an_upload_grow_with_its_reads_and_are_few():
    calls, reads = [], []

    def count(frame, event, argument):
        if event in ("call", "c_call"):
            calls[-1] += 1
            if event == "call" and frame.f_code.co_name == "buffer_updated":
                reads[-1] += 1

    def begin():
        calls.append(0)
        reads.append(0)
        sys.setprofile(count)

    for size in (4 * MIB, 16 * MIB):
        upload(streamed, size, begin, lambda: sys.setprofile(None))
    assert calls[0] / reads[0] < 200 and calls[1] / reads[1] < 200
