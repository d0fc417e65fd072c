"""How fast, and with how much memory, one large file is uploaded through `request.files()`.

    python tests/benchmarks/upload.py [MEBIBYTES ...]        (default: 256 512 1024)

Promised: 1024 MiB as one part at over 150 MB/s, the worker's memory never 40 MiB above what it
was idle, and time linear in size. Every size is run three times; the medians count. On a busy
machine look at the second rate, bytes a second of the server's own processor time.
"""

import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20
ROUNDS = 3
FASTER_THAN = 150e6  # bytes per second
LESS_THAN = 40 * MIB  # above idle

APP = '''
import sys
from tremolo import Tremolo
app = Tremolo()

@app.route("/upload")
async def upload(request):
    size = 0
    async for part in request.files(max_file_size=0):
        async for data in part.stream():
            size += len(data)
    return str(size)

if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), log_level="ERROR", loop=sys.argv[2],
            client_max_body_size=1 << 40)
'''

BEGIN = (b"--boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n"
         b"Content-Type: application/octet-stream\r\n\r\n")
END = b"\r\n--boundary--\r\n"
#: random bytes: line breaks and dashes come as often as in a real file
BLOCK = os.urandom(256 * 1024)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def resident(pid, what="VmRSS"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(what)


def processor_time(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connect(port):
    deadline = time.monotonic() + 15
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def upload(port, size):
    """Seconds that an upload of `size` bytes takes, and what the server answers."""
    with connect(port) as sock:
        head = (b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Content-Type: multipart/form-data; boundary=boundary\r\n"
                b"Content-Length: %d\r\n\r\n" % (len(BEGIN) + size + len(END)))
        began = time.perf_counter()
        sock.sendall(head + BEGIN)
        left = size
        while left:
            piece = BLOCK if left >= len(BLOCK) else BLOCK[:left]
            sock.sendall(piece)
            left -= len(piece)
        sock.sendall(END)
        answer = b""
        while True:
            data = sock.recv(65536)
            if not data:
                return time.perf_counter() - began, answer
            answer += data


class Peak(threading.Thread):
    """The most memory that a process has while this runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.most = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.01):
            self.most = max(self.most, resident(self.pid))


def measure(port, pid, mebibytes):
    size = mebibytes * MIB
    idle, before = resident(pid), processor_time(pid)
    peak = Peak(pid)
    peak.start()
    seconds, answer = upload(port, size)
    busy = processor_time(pid) - before
    peak.ended.set()
    peak.join()
    assert answer.endswith(b"\r\n\r\n%d" % size), answer[-200:]
    return seconds, peak.most - idle, busy


def main(sizes):
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder, "uploads.py")
        script.write_text(APP)
        for loop in ("asyncio", "auto"):
            port = free_port()
            server = subprocess.Popen([sys.executable, str(script), str(port), loop],
                                      env=dict(os.environ, PYTHONPATH=str(ROOT)))
            try:
                connect(port).close()
                measure(port, server.pid, 1)
                rates = []
                for mebibytes in sizes:
                    runs = [measure(port, server.pid, mebibytes) for _ in range(ROUNDS)]
                    seconds = statistics.median(run[0] for run in runs)
                    above = max(run[1] for run in runs)
                    busy = statistics.median(run[2] for run in runs) or 0.01
                    rates.append(mebibytes * MIB / seconds)
                    print(f"{loop:8} {mebibytes:6} MiB {seconds:7.2f} s {rates[-1] / 1e6:7.0f} "
                          f"MB/s, {mebibytes * MIB / busy / 1e6:7.0f} MB a processor second, "
                          f"{above / MIB:5.1f} MiB above idle", flush=True)
                    failed |= rates[-1] < FASTER_THAN or above >= LESS_THAN
                failed |= min(rates) < 0.7 * max(rates)  # else it is not linear
            finally:
                server.terminate()
                server.wait(15)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main([int(arg) for arg in sys.argv[1:]] or [256, 512, 1024]))
