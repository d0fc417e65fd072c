"""What the first bytes of an image say: its format, and how many pixels it has."""

import struct
from typing import Optional, Tuple

Size = Tuple[int, int]


def describe(body: bytes) -> str:
    """"PNG, 640 × 480 pixels"; "" for what is no image that is known here."""
    for name, begins, pixels in _FORMATS:
        if begins(body):
            try:
                size = pixels(body)
            except (struct.error, IndexError):
                size = None
            return f"{name}, {size[0]} × {size[1]} pixels" if size else name
    return ""


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


_FORMATS = (
    ("PNG", lambda body: body.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    ("GIF", lambda body: body[:6] in (b"GIF87a", b"GIF89a"), _gif),
    ("JPEG", lambda body: body.startswith(b"\xff\xd8\xff"), _jpeg),
    ("WebP", lambda body: body[:4] == b"RIFF" and body[8:12] == b"WEBP", _webp),
    ("AVIF", lambda body: body[4:12] in (b"ftypavif", b"ftypavis"), _avif),
)
