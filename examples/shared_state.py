"""A counter that several worker processes share: a file, and the server's lock around it.

    tremolo dev --workers 4 examples/shared_state.py        (or: python3 examples/shared_state.py)
    for i in $(seq 100); do curl -s http://127.0.0.1:8000/ & done; wait
"""

import asyncio
import os
import pathlib
import tempfile

from tremolo import Tremolo

app = Tremolo()
path = pathlib.Path(tempfile.gettempdir(), "tremolo-counter.txt")


@app.route("/")
async def count(lock, content_type="text/plain"):
    # Processes share no variables. Without the lock two of them would read the same number.
    async with lock:
        number = int(path.read_text()) if path.exists() else 0
        await asyncio.sleep(0.001)
        path.write_text(str(number + 1))
    return f"request {number + 1}, answered by process {os.getpid()}\n"


if __name__ == "__main__":
    app.run("127.0.0.1", 8000, worker_num=4)
