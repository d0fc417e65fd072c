"""Uploads written to disk as they arrive, with constant memory.

    tremolo dev examples/uploads.py --client-max-body-size 10000000000

Throttle the upload in the dashboard and watch the page's progress bar.
"""

import html
import os
import shutil
import tempfile
import time

from tremolo import Tremolo

app = Tremolo()

PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>Uploads</title>
<style>
body { font: 16px/1.6 system-ui, sans-serif; margin: 3rem }
progress { width: 30rem }
</style>
<h1>Uploads</h1>
<form id="form" action="/upload" method="post" enctype="multipart/form-data">
<input type="file" name="file" multiple required> <button>Upload</button>
</form>
<p><progress id="bar" value="0" max="1" hidden></progress> <span id="said"></span></p>
<script>
form.onsubmit = event => {
  event.preventDefault();
  const request = new XMLHttpRequest();
  bar.hidden = false;
  request.upload.onprogress = e => { bar.value = e.loaded / e.total; };
  request.onload = () => { said.innerHTML = request.responseText; };
  request.onerror = () => { said.textContent = "The upload failed."; };
  request.open("POST", "/upload");
  request.send(new FormData(form));
};
</script>
"""


@app.on_worker_start
async def make_folder(globals):
    globals.folder = tempfile.mkdtemp(prefix="uploads-")


@app.on_worker_stop
async def remove_folder(globals):
    shutil.rmtree(globals.folder)  # an example keeps nothing


@app.route("/")
async def index():
    return PAGE


@app.route("/upload")
async def upload(request, response, globals):
    if request.method != b"POST":
        raise response.redirect("/")
    began = time.monotonic()
    lines = []
    # With 0 a part comes as soon as its head is there; its data is streamed.
    async for part in request.files(max_file_size=0):
        if part["filename"] is None:
            continue
        size = 0
        # The client's file name is a label, never a path: the file gets a name of our own.
        with tempfile.NamedTemporaryFile(dir=globals.folder, delete=False) as file:
            async for data in part.stream():
                file.write(data)
                size += len(data)
        lines.append(f"<li>{html.escape(part['filename'])}: {size:,} bytes, stored as "
                     f"{os.path.basename(file.name)}</li>")
    seconds = time.monotonic() - began
    return f"<ul>{''.join(lines)}</ul><p>{seconds:.2f} seconds</p>"


if __name__ == "__main__":
    app.run("127.0.0.1", 8000, client_max_body_size=10_000_000_000)
