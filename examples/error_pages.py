"""Pages for what goes wrong. What an exception says reaches the client only if it is meant to.

    tremolo dev examples/error_pages.py        (or: python3 examples/error_pages.py)
"""

import html

from tremolo import Tremolo
from tremolo.exceptions import Forbidden

app = Tremolo()


@app.route("/")
async def index():
    return '<a href="/private">403</a> <a href="/broken">500</a> <a href="/nowhere">404</a>'


@app.route("/private")
async def private():
    raise Forbidden("Members only.")


@app.route("/broken")
async def broken():
    return 1 // 0


@app.error(404)
async def not_found(request):
    path = html.escape(request.path.decode("latin-1"))
    return f"<h1>Lost?</h1><p>Nothing is at {path}. <a href='/'>Home</a>"


@app.error(500)
async def failed(exc):
    # Answers every status without a page of its own.
    if exc.code == 500:
        return "<h1>Sorry</h1><p>That is our fault, and we were told."
    return f"<h1>{exc.code}</h1><p>{html.escape(str(exc))}"


if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
