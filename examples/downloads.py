"""Big downloads of generated data, to play with the throttle.

    tremolo dev examples/downloads.py

Start a download, then choose another network in the dashboard and watch its rate.
"""

from tremolo import Tremolo
from tremolo.exceptions import BadRequest

app = Tremolo()

MEGABYTE = 1_000_000
#: bytes with some structure, so that a truncated or repeated piece would show
BLOCK = b"".join(b"%015d\n" % line for line in range(16384))

PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>Downloads</title>
<style>body { font: 16px/1.6 system-ui, sans-serif; margin: 3rem }</style>
<h1>Downloads</h1>
<ul>
<li><a href="/download?mb=1">1 MB</a>
<li><a href="/download?mb=10">10 MB</a>
<li><a href="/download?mb=100">100 MB</a>
<li><a href="/download?mb=1000">1 GB</a>
<li><a href="/endless">without an end</a>
<li><a href="/download?mb=10&amp;rate=500000">10 MB at 500 kB/s by the handler</a>
</ul>
"""


@app.route("/")
async def index():
    return PAGE


@app.route("/download")
async def download(request, response, content_type="application/octet-stream"):
    size = number(request, "mb", 100, 100_000) * MEGABYTE
    request.ctx.options["rate"] = number(request, "rate", 0, 10**12)
    response.set_header("Content-Length", str(size))
    response.set_header("Content-Disposition", 'attachment; filename="download.bin"')
    whole, rest = divmod(size, len(BLOCK))
    for _ in range(whole):
        yield BLOCK
    yield BLOCK[:rest]


@app.route("/endless")
async def endless(content_type="application/octet-stream"):
    while True:
        yield BLOCK


def number(request, name, default, most):
    """A whole number of the query string."""
    text = request.query.get(name, [str(default)])[0]
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) <= most):
        raise BadRequest(f"{name} must be a whole number up to {most}")
    return int(text)


if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
