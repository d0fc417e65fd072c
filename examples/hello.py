"""A page, a stream and a form of address: the smallest Tremolo application.

    tremolo dev examples/hello.py        (or: python3 examples/hello.py)
"""

from tremolo import Tremolo

app = Tremolo()


@app.route("/")
async def index(content_type="text/html; charset=utf-8"):
    return '<h1>Hello world!</h1><p><a href="/hello">hello</a> <a href="/hi/you">hi</a></p>'


@app.route("/hello")
async def hello_world(**server):
    return "Hello world!", "latin-1"


@app.route("/stream")
async def stream(content_type="text/plain"):
    yield b"Hello "
    yield b"world!"


@app.route(r"^/hi/(?P<name>\w+)$")
async def hi(name, content_type="text/plain"):
    return b"Hi, " + name + b"!"


if __name__ == "__main__":
    app.run("127.0.0.1", 8000, debug=True)
