"""A clock by server-sent events: the page is told the time, it does not ask.

    tremolo dev examples/clock.py        (or: python3 examples/clock.py)

Save this file while the page is open: the stream ends, and the browser comes back to the new
code by itself.
"""

import asyncio
import time

from tremolo import Tremolo

app = Tremolo()

PAGE = """<!DOCTYPE html>
<title>Clock</title>
<h1 id="time">--:--:--</h1>
<script>
new EventSource("/time").onmessage = event => { time.textContent = event.data; };
</script>
"""


@app.route("/")
async def index():
    return PAGE


@app.route("/time")
async def tell_time(sse=None):
    while True:
        await sse.send(time.strftime("%H:%M:%S"), retry=500)
        await asyncio.sleep(1)


if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
