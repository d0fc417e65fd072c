"""The files of a folder, served safely: no dotfiles, no listings, nothing outside of it.

    tremolo dev examples/static_site.py        (or: python3 examples/static_site.py [FOLDER])
"""

import pathlib
import sys

from tremolo import Tremolo
from tremolo.app.files import add_static

app = Tremolo()
folder = pathlib.Path(__file__).parent / "site"
if __name__ == "__main__" and sys.argv[1:]:
    folder = sys.argv[1]

add_static(app, "/", folder, max_age=60)

if __name__ == "__main__":
    app.run("127.0.0.1", 8000)
