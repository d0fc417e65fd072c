"""A download that can be resumed, and a video that can be sought in: `sendfile` does ranges.

    tremolo dev examples/video.py        (or: python3 examples/video.py [FILE])
    curl -C - -O http://127.0.0.1:8000/video

Throttle the download, stop it half way, and start it again. Without a FILE, some megabytes are
made up.
"""

import mimetypes
import os
import sys
import tempfile

from tremolo import Tremolo

app = Tremolo()


def made_up():
    """A file of 8 MB whose every line tells where in it one is."""
    path = os.path.join(tempfile.gettempdir(), f"tremolo-video-{os.getuid()}.bin")
    if not os.path.exists(path):
        with open(path, "xb") as file:
            file.write(b"".join(b"%015d\n" % start for start in range(0, 8_000_000, 16)))
    return path


path = sys.argv[1] if __name__ == "__main__" and sys.argv[1:] else made_up()
kind = mimetypes.guess_type(path)[0] or "application/octet-stream"


@app.route("/")
async def index():
    return '<video src="/video" controls></video><p><a href="/video" download>download</a>'


@app.route("/video")
async def video(response):
    await response.sendfile(path, content_type=kind)


if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
