"""A class for a path, a method of it for each method of HTTP; others are answered with 405.

    tremolo dev examples/class_views.py        (or: python3 examples/class_views.py)
    curl -X PUT -d "Milk" http://127.0.0.1:8000/notes/shopping
    curl http://127.0.0.1:8000/notes/shopping
"""

from tremolo import Tremolo
from tremolo.exceptions import NotFound

app = Tremolo()
notes = {}


@app.route(r"^/notes/(?P<name>\w+)$", limit=10_000)
class Note:
    def __init__(self, limit):
        self.limit = limit  # the options of the route

    async def get(self, name, content_type="text/plain; charset=utf-8"):
        if name not in notes:
            raise NotFound("There is no such note.")
        return notes[name]

    async def put(self, name, request, response):
        notes[name] = bytes(await request.body())[:self.limit]
        response.set_status(204)
        return ""

    async def delete(self, name, response):
        notes.pop(name, None)
        response.set_status(204)
        return ""


if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
