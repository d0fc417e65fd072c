"""Percent-decoding of paths, and which of them may name a file."""

import random
from urllib.parse import unquote_to_bytes

import pytest

from tremolo.protocol.paths import (
    UnsafePath,
    decode_path,
    is_within,
    join_parts,
    local_location,
    percent_decode,
    split_static_path,
)


@pytest.mark.parametrize(
    "raw, decoded",
    [
        (b"", b""),
        (b"abc", b"abc"),
        (b"%41%7a%7A", b"Azz"),
        (b"%2541", b"%41"),
        (b"%", b"%"),
        (b"%4", b"%4"),
        (b"%%41", b"%A"),
        (b"%zz%4g% 1%+1", b"%zz%4g% 1%+1"),
        (b"a+b", b"a+b"),
        (b"\xff%ff", b"\xff\xff"),
    ],
)
def test_escapes_are_decoded_once(raw, decoded):
    assert percent_decode(raw) == decoded


def test_urllib_decodes_random_escapes_the_same():
    rng = random.Random(4)
    for _ in range(3000):
        raw = bytes(rng.choice(b"%%%0123456789abcdefABCDEFxg+/\xff") for _ in range(12))
        assert percent_decode(raw) == unquote_to_bytes(raw)


@pytest.mark.parametrize(
    "raw, path",
    [
        (b"/", "/"),
        (b"/a%20b", "/a b"),
        (b"/%E2%82%AC", "/€"),
        ("/€".encode(), "/€"),
        (b"/%ff/%ed%a0%80", "/\ufffd/\ufffd\ufffd\ufffd"),
        (b"/a%2Fb", "/a/b"),
        (b"*", "*"),
    ],
)
def test_a_path_is_decoded_as_utf8_and_never_fails(raw, path):
    assert decode_path(raw) == path
    decode_path(raw).encode("utf-8")


@pytest.mark.parametrize(
    "raw, parts, is_directory",
    [
        pytest.param(b"", (), True, id="nothing"),
        pytest.param(b"/", (), True, id="slash"),
        pytest.param(b"a.txt", ("a.txt",), False, id="a file"),
        pytest.param(b"/a/b.txt", ("a", "b.txt"), False, id="a file in a folder"),
        pytest.param(b"/a/b/", ("a", "b"), True, id="a folder"),
        pytest.param(b"/a%20b/%E2%82%AC", ("a b", "€"), False, id="encoded"),
        pytest.param(b"/a%252e", ("a%2e",), False, id="decoded once"),
        pytest.param(b"/a..b/c...", ("a..b", "c..."), False, id="dots inside"),
        pytest.param(b"/~root/$HOME/*", ("~root", "$HOME", "*"), False, id="nothing expands"),
        pytest.param(b"/" + b"x" * 255, ("x" * 255,), False, id="the longest name"),
    ],
)
def test_a_path_becomes_file_names(raw, parts, is_directory):
    assert split_static_path(raw) == (parts, is_directory)


REFUSED = {
    "dot dot": b"/../etc/passwd",
    "dot dot inside": b"/a/../../b",
    "dot dot at the end": b"/a/..",
    "dot": b"/./a",
    "encoded dot dot": b"/%2e%2E/a",
    "encoded slash": b"/..%2fetc",
    "encoded slash in a name": b"/a%2Fb",
    "an absolute path": b"//etc/passwd",
    "empty segment": b"/a//b",
    "two slashes at the end": b"/a//",
    "backslash": b"/a\\b",
    "encoded backslashes": b"/..%5c..%5cboot.ini",
    "UNC": b"/\\\\host\\share",
    "drive": b"/C:/boot.ini",
    "encoded drive": b"/a/c%3Aboot.ini",
    "NUL": b"/a%00.txt",
    "line end": b"/a%0Ab",
    "DEL": b"/a%7f",
    "not UTF-8": b"/%ff",
    "an overlong slash": b"/%c0%af",
    "a surrogate": b"/%ed%a0%80",
    "dotfile": b"/.env",
    "dotfile in a folder": b"/.git/config",
    "encoded dotfile": b"/%2eenv",
    "a name too long": b"/" + b"x" * 256,
    "a path too long": b"/x" * 2100,
    "a path too long in bytes": b"/%C3%A4" * 1366,
    "a path far too long": b"/%41" * 20000,
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_is_not_plainly_a_file_name_is_refused(raw):
    with pytest.raises(UnsafePath):
        split_static_path(raw)


def test_dotfiles_are_served_when_asked_for_but_dot_segments_never():
    assert split_static_path(b"/.well-known/x", dotfiles=True).parts == (".well-known", "x")
    for raw in (b"/..", b"/.", b"/a/../b"):
        with pytest.raises(UnsafePath):
            split_static_path(raw, dotfiles=True)


def test_random_paths_never_leave_the_root():
    import posixpath

    rng = random.Random(5)
    pieces = [
        b".",
        b"..",
        b"/",
        b"%2e",
        b"%2F",
        b"a",
        b"\\",
        b"%00",
        b"%5c",
        b":",
        b"%25",
        b"\xc3",
    ]
    accepted = 0
    for _ in range(20000):
        raw = b"".join(rng.choice(pieces) for _ in range(rng.randrange(7)))
        try:
            parts = split_static_path(raw, dotfiles=True).parts
        except UnsafePath:
            continue
        accepted += 1
        path = join_parts("/srv", parts)
        assert posixpath.normpath(path) == path
        assert is_within("/srv", path)
    assert accepted > 500


@pytest.mark.parametrize(
    "root, parts, path",
    [
        ("/srv", (), "/srv"),
        ("/srv", ("a", "b"), "/srv/a/b"),
        ("/srv/", ("a",), "/srv/a"),
        ("/", ("a",), "/a"),
        ("static", ("a",), "static/a"),
    ],
)
def test_file_names_are_joined_below_the_root(root, parts, path):
    assert join_parts(root, parts) == path


@pytest.mark.parametrize(
    "root, path, within",
    [
        ("/srv/static", "/srv/static", True),
        ("/srv/static", "/srv/static/a", True),
        ("/srv/static/", "/srv/static/a", True),
        ("/srv/static", "/srv/static-private/a", False),
        ("/srv/static", "/srv", False),
        ("/srv/static", "/etc/passwd", False),
        ("/", "/etc/passwd", True),
    ],
)
def test_a_real_path_is_compared_with_its_separator(root, path, within):
    assert is_within(root, path) is within


@pytest.mark.parametrize(
    "raw, query, location",
    [
        (b"/a/", b"", b"/a/"),
        (b"/a/", b"x=1", b"/a/?x=1"),
        (b"//evil.test/a/", b"", b"/evil.test/a/"),
        (b"/\\evil.test/", b"", b"/evil.test/"),
        (b"\\//\\evil.test", b"", b"/evil.test"),
        (b"", b"", b"/"),
    ],
)
def test_a_location_stays_on_this_host(raw, query, location):
    assert local_location(raw, query) == location
