"""Bodies that are images: what is said of them, what is drawn, and what is survived."""

import asyncio
import importlib.util
import io
import random
import re
import struct
import zlib

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, SMALL, dashboard
from tests.support.feed_player import message
from tests.support.pictures import decoded, png
from tui import pictures
from tui.model.images import describe, format_of
from tui.panes.picture import picture_lines
from tui.pictures import Picture, Pictures, Wanted

needs_pillow = pytest.mark.skipif(importlib.util.find_spec("PIL") is None,
                                  reason="images are decoded by Pillow")
RED, GREEN, BLUE, CLEAR = (b"\xff\0\0\xff", b"\0\xff\0\xff", b"\0\0\xff\xff", b"\0\0\0\0")


def encoded(kind, size=(64, 48), **how):
    """A red image with a blue lower half, as Pillow writes it."""
    from PIL import Image

    image = Image.new("RGB", size, (255, 0, 0))
    image.paste((0, 0, 255), (0, size[1] // 2, *size))
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


# -- what the first bytes say

@pytest.mark.parametrize("body, words", [
    (png(3, 2, [RED * 3] * 2), "PNG, 3 × 2 pixels"),
    (b"GIF89a\x40\x01\xc8\x00\0\0\0", "GIF, 320 × 200 pixels"),
    (b"BM" + bytes(12) + struct.pack("<Iii", 40, 7, -5), "BMP, 7 × 5 pixels"),
    (b"BM" + bytes(12) + struct.pack("<IHH", 12, 7, 5), "BMP, 7 × 5 pixels"),
    (b"\0\0\1\0\2\0" + bytes((16, 16)) + bytes(14) + bytes((0, 0)) + bytes(14),
     "ICO, 256 × 256 pixels"),
    (b"\0\0\1\0\1\0\x10\x10\0\0", "ICO"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\0\0\1\0\0\0", ""), (b"\0\0\1\0\1\0\x10\x10\0\7" + bytes(20), ""),
    (b"BMX" + bytes(40), ""), (b"<svg/>", ""), (b"", ""),
], ids=str)
def test_an_image_is_known_by_its_first_bytes(body, words):
    assert describe(body) == words
    assert format_of(body) == words.partition(",")[0]


@needs_pillow
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "ICO"])
def test_what_is_said_of_an_image_is_what_it_is(kind):
    how = {"sizes": [(64, 48)]} if kind == "ICO" else {}
    assert describe(encoded(kind, **how)).upper() == f"{kind}, 64 × 48 PIXELS"


# -- pixels, each made by a process of its own

def made(*wanted):
    """What comes of images: pairs of what is wanted and a body."""
    async def main():
        done = asyncio.Event()
        known = Pictures(done.set)
        found = []
        for each, body in wanted:
            while (result := known.of(each, body)) is None:
                done.clear()
                await asyncio.wait_for(done.wait(), 30)
            found.append(result)
        return found
    return asyncio.run(main())


def wanted(kind, width=40, height=30, cut=False, digest=""):
    return Wanted(digest, kind, width, height, cut)


def pixel(picture, x, y):
    at = 4 * (y * picture.width + x)
    return tuple(picture.pixels[at:at + 4])


@needs_pillow
def test_an_image_is_scaled_into_its_box_and_keeps_its_proportion():
    kinds = ["PNG", "JPEG", "GIF", "WEBP", "BMP", "ICO"]
    for picture in made(*((wanted(kind, 40, 1000), encoded(kind)) for kind in kinds)):
        assert isinstance(picture, Picture), picture
        assert (picture.width, picture.height) == (40, 30)
        red, blue = pixel(picture, 20, 5), pixel(picture, 20, 25)
        assert red[0] > 240 and red[2] < 15 and blue[2] > 240 and blue[0] < 15


@needs_pillow
def test_a_small_image_stays_as_it_is_and_one_that_lies_on_its_side_is_turned():
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    small, turned = made((wanted("PNG"), png(2, 1, [RED + CLEAR])),
                         (wanted("JPEG", 40, 40), encoded("JPEG", exif=exif)))
    assert small == Picture(2, 1, RED + CLEAR)
    assert (turned.width, turned.height) == (30, 40)
    assert pixel(turned, 25, 20)[0] > 240 and pixel(turned, 5, 20)[2] > 240


@needs_pillow
def test_of_a_cut_image_the_rows_are_drawn_that_are_known():
    from PIL import Image

    file = io.BytesIO()
    Image.effect_noise((400, 300), 90).save(file, "PNG")
    beginning = file.getvalue()[:len(file.getvalue()) // 3]
    half, whole, nothing = made((wanted("PNG", 40, 30, cut=True), beginning),
                                (wanted("PNG", 40, 30), beginning),
                                (wanted("WEBP", cut=True), encoded("WEBP")[:60]))
    assert isinstance(half, Picture) and half.width == 40 and 8 <= half.height <= 12
    assert whole == "it is damaged" and nothing == "not enough of it is known"


@needs_pillow
def test_no_image_is_worse_than_one_that_is_not_drawn(monkeypatch):
    bomb = png(1, 1, [RED], claimed=(60_000, 60_000))
    many, *damaged = made(
        (wanted("PNG"), bomb), (wanted("PNG", digest="a"), bomb[:40]),
        (wanted("ICO"), b"\0\0\1\0\1\0" + bytes(40)), (wanted("GIF"), b"GIF89a" + b"\xff" * 99))
    assert many == "it has too many pixels"
    assert set(damaged) == {"it is damaged"}
    monkeypatch.setattr(pictures, "SECONDS", 0.0)
    assert made((wanted("PNG"), bomb)) == ["it takes too long"]


def test_a_decoder_that_dies_or_lies_is_a_picture_that_is_not_drawn(monkeypatch):
    for says in ("import os; os.abort()", "print('3 3'); print('x')", "print('a b')", "",
                 "print('1 2 3')", "print('-1 -1'); print('abcd')"):
        monkeypatch.setattr(pictures, "_START", says)
        assert made((wanted("PNG"), b"")) == ["its decoder failed"], says


def test_only_the_newest_that_were_asked_for_are_made(monkeypatch):
    order = []

    async def noted(each, body):
        order.append(each.digest)
        return "no"

    monkeypatch.setattr(pictures, "_made", noted)

    async def main():
        known = Pictures(lambda: None)
        for number in range(10):
            known.of(wanted("PNG", digest=str(number)), b"")
        while known.revision < pictures.WAITING:
            await asyncio.sleep(0)
    asyncio.run(main())
    assert order == ["9", "8", "7", "6"]


# -- lines

class Plain:
    """Black on white, or the other way round."""

    def __init__(self, ground):
        self.ground = ground

    def style(self, name):
        from rich.style import Style

        black, white = "#000000", "#ffffff"
        return Style(color=self.ground, bgcolor=white if self.ground == black else black)


def drawn(width, height, pixels, ground="#000000"):
    """Of each line its cells as text, and what colours they have: in front, behind."""
    found = []
    for line in picture_lines(Plain(ground), Picture(width, height, pixels)):
        found.append([(text, *(str(colour.triplet.hex) if colour else None for colour in (
            (style.color, style.bgcolor) if style else (None, None))))
            for text, style in line[1:]])
    return found


def test_two_rows_of_pixels_are_a_line_and_equal_neighbours_a_piece():
    assert drawn(3, 3, RED * 2 + GREEN + BLUE * 2 + GREEN + RED * 3) == [
        [("▀▀", "#ff0000", "#0000ff"), (" ", None, "#00ff00")], [("▀▀▀", "#ff0000", None)]]


def test_what_is_transparent_is_the_ground_of_the_screen():
    half = b"\xff\xff\xff\x80"
    assert drawn(3, 2, CLEAR + RED + half + CLEAR * 2 + RED) == [
        [(" ", None, None), ("▀", "#ff0000", None), ("▀", "#808080", "#ff0000")]]
    assert drawn(1, 2, CLEAR + RED) == [[("▄", "#ff0000", None)]]
    assert drawn(1, 1, CLEAR) == [[(" ", None, None)]]


@pytest.mark.parametrize("ground, ink", [("#000000", b"\x0a\x0a\x0a\xff"),
                                         ("#ffffff", b"\xf0\xf0\xf0\xff")], ids=str)
def test_what_could_not_be_seen_on_the_ground_lies_on_the_other_one(ground, ink):
    other = "#ffffff" if ground == "#000000" else "#000000"
    assert drawn(2, 2, CLEAR + ink + CLEAR * 2, ground) == [
        [(" ", None, other), ("▀", f"#{ink[:3].hex()}", other)]]
    assert drawn(1, 2, ink * 2, ground) == [[(" ", None, f"#{ink[:3].hex()}")]]  # it is all there


# -- in the dashboard

FLAG = png(30, 40, [RED * 30] * 20 + [BLUE * 30] * 20)


def shown(size, body, media="image/png", whole=None, environ=None, **given):
    """The dashboard with the response open: the text of the screen when nothing is awaited, and
    the colours of what is drawn."""
    async def main():
        async with dashboard(size) as d:
            told = message([("Content-Type", media)], body, whole)
            await d.say(d.player.frame(4711, [d.player.row(
                4711, path="/logo", status=200, response=told, **given)]))
            await d.press("1", "up", "enter")
            await decoded(d)
            colours = {colour.triplet.hex for strip in d.app.screen._compositor.render_strips()
                       for segment in strip if segment.style
                       for colour in (segment.style.color, segment.style.bgcolor)
                       if colour is not None and colour.triplet is not None}
            return d.text(), colours
    return asyncio.run(main())


@pytest.fixture
def coloured(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")


@needs_pillow
@pytest.mark.parametrize("size", [SMALL, (120, 36), LARGE], ids=str)
def test_the_body_of_a_response_is_drawn(coloured, size):
    text, colours = shown(size, FLAG)
    assert "PNG, 30 × 40 pixels" in text and "89 50 4e 47" not in text
    below = set() if size == SMALL else {"#0000ff"}
    assert {"#ff0000"} | below <= colours


@needs_pillow
def test_a_cut_image_says_how_much_of_it_is_known(coloured):
    text, _ = shown(LARGE, FLAG[:60], whole=50_000)
    assert "PNG, 30 × 40 pixels · the first 60 b of 50.0 k" in text
    assert "not drawn: not enough of it is known" in text and "89 50 4e 47" in text


def interlaced_gif(width, height):
    from PIL import Image

    image = Image.new("P", (width, height))
    image.putpalette([0, 0, 0] + [230, 40, 40] * 255)
    noise = random.Random(1)
    image.putdata([noise.randrange(1, 256) for _ in range(width * height)])
    out = io.BytesIO()
    image.save(out, "GIF", interlace=1)
    return out.getvalue()


def interlaced_png(width, height):
    """By hand: Pillow only reads them. The seven passes are of PNG, 8.2."""
    lines, noise = b"", random.Random(1)
    for x, y, across, down in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
                               (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        for _ in range(y, height, down):
            lines += b"\0" + b"".join(bytes((230, noise.getrandbits(8), 40))
                                      for _ in range(x, width, across))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")))


@needs_pillow
@pytest.mark.parametrize("kind, encode", [("GIF", interlaced_gif), ("PNG", interlaced_png)],
                         ids=["GIF", "PNG"])
@pytest.mark.parametrize("share", [0.25, 0.3, 0.5, 0.7, 0.9])
def test_of_an_interlaced_image_that_is_cut_nothing_is_drawn_that_is_not_there(
        kind, encode, share):
    from tui.thumbnail import thumbnail

    data = encode(101, 67)
    small = thumbnail(data[:int(share * len(data))], kind, (40, 40), cut=True)
    assert small.size == (40, 27)
    assert small.convert("RGB").getextrema()[0] == (230, 230)  # where rows are missing it is dark


@needs_pillow
def test_of_the_first_pass_the_rows_are_drawn_that_are_there():
    from tui.thumbnail import thumbnail

    data = interlaced_gif(101, 67)
    small = thumbnail(data[:800 + (len(data) - 800) // 16], "GIF", (40, 40), cut=True)
    assert small.width == 40 and 5 <= small.height <= 16
    assert small.convert("RGB").getextrema()[0] == (230, 230)


@needs_pillow
def test_images_in_a_form_are_drawn_where_they_stand(coloured):
    body = (b'--x\r\nContent-Disposition: form-data; name="logo"; filename="flag.png"\r\n'
            b"Content-Type: image/png\r\n\r\n" + FLAG + b"\r\n--x--\r\n")
    text, colours = shown(LARGE, body, "multipart/form-data; boundary=x")
    assert re.search(r"logo +flag.png +PNG, 30 × 40 pixels", text)
    assert {"#ff0000", "#0000ff"} <= colours


@pytest.mark.parametrize("name, value", [("NO_COLOR", "1"), ("COLORTERM", "")], ids=str)
def test_where_there_are_no_colours_for_it_an_image_is_described(coloured, monkeypatch, name,
                                                                 value):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    text, colours = shown(LARGE, FLAG)
    assert "PNG, 30 × 40 pixels" in text and "89 50 4e 47" in text
    assert "not drawn" not in text and not {"#ff0000", "#0000ff"} & colours


def test_without_pillow_it_is_said_what_to_install(coloured, monkeypatch):
    monkeypatch.setattr("tui.panes.picture.installed", lambda: False)
    text, _ = shown(LARGE, FLAG)
    assert text.count("pip install 'tremolo[images]' draws it") == 1
    assert "PNG, 30 × 40 pixels" in text and "89 50 4e 47" in text


def test_svg_stays_text(coloured):
    text, _ = shown(LARGE, b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml")
    assert '<svg xmlns="http://www.w3.org/2000/svg"/>' in text and "b copies" in text


def test_a_body_that_cannot_be_copied_as_text_offers_no_copy(coloured):
    assert "b copies" not in shown(LARGE, FLAG)[0]


def test_an_open_picture_is_not_drawn_again_for_news_of_others(coloured):
    async def main():
        async with dashboard(LARGE) as d:
            await d.say(d.player.frame(4711, [d.player.row(
                4711, response=message([("Content-Type", "image/png")], FLAG))]))
            await d.press("1", "up", "enter")
            await decoded(d)
            draws = d.app.detail.draws
            await d.say(d.player.log("something else"))
            assert d.app.detail.draws == draws
            await d.press("right")
            assert d.app.detail.draws > draws
    asyncio.run(main())
