"""One application below a path of another, each with its own middlewares.

    tremolo dev examples/mounted.py        (or: python3 examples/mounted.py)
    curl -i http://127.0.0.1:8000/api/items/7        (401: only the API wants a key)
    curl -i -H "X-Key: secret" http://127.0.0.1:8000/api/items/7
"""

from tremolo import Tremolo
from tremolo.exceptions import Unauthorized

app = Tremolo()
api = Tremolo()


@api.on_request
async def check_key(request):
    if request.headers.get(b"x-key") != [b"secret"]:
        raise Unauthorized("This needs the header X-Key.")


@api.route(r"^/items/(?P<number>\d+)$")
async def item(number, content_type="application/json"):
    return b'{"item": %s}' % number


@app.route("/")
async def index():
    return '<a href="/api/items/7">An item</a>'


app.mount("/api", api)

if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
