"""A chat room: what one WebSocket says, all of them hear.

    tremolo dev examples/chat.py        (or: python3 examples/chat.py)

Open the page in two windows.
"""

from tremolo import Tremolo
from tremolo.exceptions import WebSocketClientClosed

app = Tremolo()
room = set()

PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>Chat</title>
<form id="form"><input id="text" autofocus autocomplete="off"> <button>Say</button></form>
<ul id="said"></ul>
<script>
const socket = new WebSocket(location.href.replace("http", "ws") + "chat");
socket.onmessage = event => {
  const line = document.createElement("li");
  line.textContent = event.data;
  said.prepend(line);
};
form.onsubmit = event => {
  event.preventDefault();
  socket.send(text.value);
  form.reset();
};
</script>
"""


@app.route("/")
async def index():
    return PAGE


@app.route("/chat")
async def chat(request, websocket=None):
    if websocket is None:
        return "Open the page; this is for its WebSocket."
    await websocket.accept()
    name = f"guest {request.client[1]}"
    room.add(websocket)
    try:
        await tell(f"{name} has come")
        async for message in websocket:
            await tell(f"{name}: {message}")
    finally:
        room.discard(websocket)
        await tell(f"{name} has gone")


async def tell(text):
    for websocket in list(room):
        try:
            await websocket.send(text)
        except WebSocketClientClosed:
            room.discard(websocket)  # its own handler will say so


if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
