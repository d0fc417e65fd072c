"""The program that makes an image small enough for a terminal, in a process of its own: whatever
is wrong with an image or with its decoder ends this process and nothing else.

    thumbnail.py FORMAT WIDTH HEIGHT whole|cut

reads the image from standard input, and writes a line "WIDTH HEIGHT" and the pixels, four bytes
each (red, green, blue, alpha), row by row. What cannot be drawn is a line "no" and why. Knows
Pillow, and nothing of this package; what is asked of it is `pictures`' business.
"""

import importlib
import io
import resource
import sys
from typing import TYPE_CHECKING, List, Tuple

if TYPE_CHECKING:
    from PIL import Image

SECONDS = 4  # of processor time
MEMORY = 1 << 30  # bytes of address space
PIXELS = 50_000_000  # of the image itself, four bytes each
ORIENTATION = 0x0112  # as Exif numbers it
_PLUGINS = {"PNG": "Png", "JPEG": "Jpeg", "GIF": "Gif", "WEBP": "WebP", "AVIF": "Avif",
            "BMP": "Bmp", "ICO": "Ico"}


class Undrawable(Exception):
    """Why there is nothing to draw, in words for the user."""


def main(arguments: List[str]) -> None:
    kind, width, height, extent = arguments
    _limit()
    out = sys.stdout.buffer
    try:
        image = thumbnail(sys.stdin.buffer.read(), kind, (int(width), int(height)),
                          extent == "cut")
    except Undrawable as exc:
        out.write(f"no {exc}\n".encode())
        return
    out.write(f"{image.width} {image.height}\n".encode() + image.tobytes())


def _limit() -> None:
    for what, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_CORE, 0),
                       (resource.RLIMIT_AS, MEMORY)):
        try:
            resource.setrlimit(what, (most, most))
        except (OSError, ValueError):
            continue  # where the system has no such limit, there are the others


def thumbnail(data: bytes, kind: str, box: Tuple[int, int], cut: bool) -> "Image.Image":
    """The first frame of an image, as RGBA, upright, and not larger than `box` (pixels); of one
    that is `cut` the rows that are there. Raises Undrawable."""
    from PIL import Image, ImageFile, ImageOps

    ImageFile.LOAD_TRUNCATED_IMAGES = cut
    Image.MAX_IMAGE_PIXELS = PIXELS // 2  # at twice as many it refuses
    if cut and kind == "JPEG" and b"\xff\xc2" in data:  # a progressive one: a blurred whole
        data += b"\xff\xd9"
    try:
        importlib.import_module(f"PIL.{_PLUGINS[kind]}ImagePlugin")  # and no other
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
            small = _scaled(image, box[::-1] if orientation >= 5 else box, cut)
        small.getexif()[ORIENTATION] = orientation
        return ImageOps.exif_transpose(small)
    except (Image.DecompressionBombError, MemoryError):
        raise Undrawable("it has too many pixels") from None
    except Undrawable:
        raise
    except Exception as exc:  # whatever a decoder makes of bytes that are no image
        raise Undrawable("not enough of it is known" if cut else "it is damaged") from exc


def _scaled(image: "Image.Image", box: Tuple[int, int], cut: bool) -> "Image.Image":
    from PIL import Image

    scale = min(1.0, box[0] / image.width, box[1] / image.height)
    width, height = (max(1, round(side * scale)) for side in image.size)
    image.draft("RGB", (2 * width, 2 * height))  # less work, where the format allows it
    top, end = _known_rows(image) if cut else (0, image.height)
    rows = max(1, round(height * (end - top) / image.height))
    known = _in_colours(image.crop((0, top, image.width, end)))
    known.info = {}
    return known.resize((width, rows), Image.Resampling.BOX)


def _known_rows(image: "Image.Image") -> Tuple[int, int]:
    """The rows of a cut image that are there: decoders leave the rest zero, but for JPEG, where
    nothing at all means grey."""
    from PIL import Image, ImageChops

    kind = image.format
    if kind == "JPEG":
        image = image.convert("RGB")
        image = ImageChops.difference(image, Image.new("RGB", image.size, (128, 128, 128)))
    found = image.getbbox()
    if found is None:
        raise Undrawable("not enough of it is known")
    return found[1] if kind == "BMP" else 0, found[3]  # a BMP begins with its last row


def _in_colours(image: "Image.Image") -> "Image.Image":
    if image.mode.startswith("I"):  # 16 bits of grey, which would be cut at 255
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGBA")


if __name__ == "__main__":
    main(sys.argv[1:])
