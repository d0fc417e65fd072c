"""What the first bytes of an image say: its format, and how many pixels it has. SVG is text."""

import struct
from typing import Optional, Tuple

Size = Tuple[int, int]

_BMP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))


def format_of(body: bytes) -> str:
    """"PNG", "WebP" and so on; "" for what is no image that is known here."""
    return next((name for name, begins, _ in _FORMATS if begins(body)), "")


def describe(body: bytes) -> str:
    """"PNG, 640 × 480 pixels"; "" for what is no image that is known here."""
    name = format_of(body)
    pixels = next((pixels for known, _, pixels in _FORMATS if known == name), None)
    try:
        size = pixels(body) if pixels is not None else None
    except (struct.error, IndexError, ValueError):
        size = None
    return f"{name}, {size[0]} × {size[1]} pixels" if size else name


def _png(body: bytes) -> Size:
    return struct.unpack(">II", body[16:24])


def _gif(body: bytes) -> Size:
    return struct.unpack("<HH", body[6:10])


def _jpeg(body: bytes) -> Optional[Size]:
    """The frame header is behind any number of other segments (ITU-T T.81, B.1.1.3)."""
    at = 2
    while at + 9 < len(body) and body[at] == 0xFF:
        marker, length = body[at + 1], struct.unpack(">H", body[at + 2:at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", body[at + 5:at + 9])
            return width, height
        at += 2 + length
    return None


def _webp(body: bytes) -> Optional[Size]:
    kind = body[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(body[24:27], "little") + 1
        return width, int.from_bytes(body[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _avif(body: bytes) -> Optional[Size]:
    place = body.find(b"ispe")
    return struct.unpack(">II", body[place + 8:place + 16]) if place > 0 else None


def _bmp(body: bytes) -> Size:
    if body[14] == 12:  # the oldest of its headers
        return struct.unpack("<HH", body[18:22])
    width, height = struct.unpack("<ii", body[18:26])
    return width, abs(height)  # below zero: it begins with its first row


def _ico(body: bytes) -> Size:
    """The largest of its images; 256 is written as 0."""
    end = min(len(body) - 15, 6 + 16 * int.from_bytes(body[4:6], "little"))
    entries = [body[at:at + 2] for at in range(6, end, 16)]
    return max((width or 256, height or 256) for width, height in entries)


def _is_ico(body: bytes) -> bool:
    """Its mark is hardly one: the first entry has to be one as well."""
    return body[:4] == b"\0\0\1\0" and body[4:6] != b"\0\0" and body[9:10] == b"\0"


_FORMATS = (
    ("PNG", lambda body: body.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    ("GIF", lambda body: body[:6] in (b"GIF87a", b"GIF89a"), _gif),
    ("JPEG", lambda body: body.startswith(b"\xff\xd8\xff"), _jpeg),
    ("WebP", lambda body: body[:4] == b"RIFF" and body[8:12] == b"WEBP", _webp),
    ("AVIF", lambda body: body[4:12] in (b"ftypavif", b"ftypavis"), _avif),
    ("BMP", lambda body: body[:2] == b"BM" and body[14:18] in _BMP_HEADERS, _bmp),
    ("ICO", _is_ico, _ico),
)
