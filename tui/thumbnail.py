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
import zlib
from typing import TYPE_CHECKING, List, Tuple

if TYPE_CHECKING:
    from PIL import Image

SECONDS = 4  # of processor time
MEMORY = 1 << 30  # bytes of address space
PIXELS = 50_000_000  # of the image itself, four bytes each
ORIENTATION = 0x0112  # as Exif numbers it
#: where the passes of an interlaced PNG begin, and their steps: across, down
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))
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
            small = _scaled(image, box[::-1] if orientation >= 5 else box, data, cut)
        small.getexif()[ORIENTATION] = orientation
        return ImageOps.exif_transpose(small)
    except (Image.DecompressionBombError, MemoryError):
        raise Undrawable("it has too many pixels") from None
    except Undrawable:
        raise
    except Exception as exc:  # whatever a decoder makes of bytes that are no image
        raise Undrawable("not enough of it is known" if cut else "it is damaged") from exc


def _scaled(image: "Image.Image", box: Tuple[int, int], data: bytes, cut: bool) -> "Image.Image":
    from PIL import Image

    scale = min(1.0, box[0] / image.width, box[1] / image.height)
    width, height = (max(1, round(side * scale)) for side in image.size)
    image.draft("RGB", (2 * width, 2 * height))  # less work, where the format allows it
    top, end = 0, image.height
    if cut and image.format == "PNG" and image.info.get("interlace"):
        image, end = _coarse_png(image, data)
    elif cut and image.format == "GIF" and _is_interlaced(image):
        image, end = _coarse_gif(image)
    elif cut:
        top, end = _known_rows(image)
    rows = max(1, round(height * (end - top) / image.height))
    known = _in_colours(image.crop((0, top, image.width, end)))
    known.info = {}
    return known.resize((width, rows), Image.Resampling.BOX)


def _is_interlaced(image: "Image.Image") -> bool:
    """Of a GIF whose frame is not smaller than itself."""
    return any(tile[3][1] and tuple(tile[1][2:]) == image.size
               for tile in getattr(image, "tile", ()))


def _coarse_gif(image: "Image.Image") -> "Tuple[Image.Image, int]":
    """An interlaced image with the rows above those that are missing in their place, and how many
    rows are there so. They come in four passes (GIF 89a, appendix E)."""
    height = image.height
    order = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4),
             *range(1, height, 2)]
    image.load()
    while order and not image.crop((0, order[-1], image.width, order[-1] + 1)).getbbox():
        order.pop()
    if not order:
        raise Undrawable("not enough of it is known")
    del order[max(1, len(order) - 1):]  # of the last one perhaps only the beginning is there
    known = set(order)
    for y in range(1, height):
        if y not in known:
            image.paste(image.crop((0, y - 1, image.width, y)), (0, y))
    first = len(order) <= -(-height // 8)  # of the passes; below its last row nothing is known
    return image, min(height, order[-1] + 8) if first else height


def _coarse_png(image: "Image.Image", data: bytes) -> "Tuple[Image.Image, int]":
    """An interlaced image in blocks of the pixels that are known throughout, and how many rows
    are there so. They come in seven passes (PNG, 8.2)."""
    from PIL import Image

    block, rows = _steps_of_png(image.size, data)
    grid = -(-image.width // block), -(-image.height // block)
    first = image.transform(grid, Image.Transform.AFFINE, (
        block, 0, (1 - block) / 2, 0, block, (1 - block) / 2), Image.Resampling.NEAREST)
    whole = first.resize((grid[0] * block, grid[1] * block), Image.Resampling.NEAREST)
    return whole.crop((0, 0, *image.size)), rows


def _steps_of_png(size: Tuple[int, int], data: bytes) -> Tuple[int, int]:
    """The side of the blocks of which the first pixel is known, and in how many rows."""
    width, height = size
    bits = data[24] * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[data[25]]
    left, block, rows = _inflated(data), 8, 0
    for number, (x, y, across, down) in enumerate(_ADAM7):
        wide, high = -((x - width) // across), -((y - height) // down)
        line = 1 + (wide * bits + 7) // 8
        there = high if wide <= 0 else min(high, left // line)
        left -= there * line if wide > 0 else 0
        if there < high:
            return block, rows or min(height, 8 * there)
        block, rows = {0: 8, 2: 4, 4: 2, 6: 1}.get(number, block), height
    return block, rows


def _inflated(data: bytes) -> int:
    """How many bytes the image data of a PNG has that is cut somewhere."""
    inflate, position, count = zlib.decompressobj(), 8, 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position:position + 4], "big")
        if data[position + 4:position + 8] == b"IDAT":
            count += len(inflate.decompress(data[position + 8:position + 8 + length]))
        position += 12 + length
    return count


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
