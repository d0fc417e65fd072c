"""Plain functions as handlers: they run on threads, where blocking holds up nobody.

    tremolo dev examples/sync_handlers.py        (or: python3 examples/sync_handlers.py)
    curl --data-binary @README.md http://127.0.0.1:8000/sum
"""

import hashlib
import sqlite3
import time

from tremolo import Tremolo

app = Tremolo()


@app.route("/")
def index(content_type="text/plain"):
    with sqlite3.connect(":memory:") as database:
        (version,) = database.execute("select sqlite_version()").fetchone()
    return f"SQLite {version}"


@app.route("/slow")
def slow(content_type="text/plain"):
    for number in range(3):
        time.sleep(0.2)
        yield f"{number}\n"


@app.route("/sum")
def checksum(request, content_type="text/plain"):
    # What is a coroutine or an async generator elsewhere blocks, or is iterated over, here.
    digest = hashlib.sha256()
    for piece in request.stream():
        digest.update(piece)
    return digest.hexdigest()


if __name__ == "__main__":
    app.run("127.0.0.1", 8000, thread_pool_size=20)
