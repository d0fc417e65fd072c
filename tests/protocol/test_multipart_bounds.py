"""multipart/form-data: what parsing costs, and what other parsers find in the same bodies."""

import io
import random

import pytest

from tests.support.growth import assert_linear, calls_of
from tremolo.protocol.multipart import (
    END,
    NEED_DATA,
    PART_END,
    MultipartError,
    MultipartLimits,
    MultipartParser,
    PartBegin,
)

BOUNDARY = b"XyZ"
CLOSE = b"--XyZ--\r\n"
FILE = b'Content-Disposition: form-data; name="f"; filename="a.bin"\r\n'


def field(data=b"1", extra=b""):
    head = b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n'
    return head + extra + b"\r\n" + data + b"\r\n"


def bytewise(body):
    return [body[i : i + 1] for i in range(len(body))]


def parse(segments, limits=None):
    """(name, file name, content type, data) of each part of a valid body."""
    parser = MultipartParser(BOUNDARY, limits)
    parts, begin, data = [], None, []
    for segment in segments:
        parser.receive_data(segment)
        while True:
            event = parser.next_event()
            if event is NEED_DATA or event is END:
                break
            if isinstance(event, PartBegin):
                begin, data = event, []
            elif event is PART_END:
                parts.append((begin.name, begin.filename, begin.content_type, b"".join(data)))
            else:
                data.append(event)
    assert event is END
    return parts


def random_cuts(rng, body):
    cuts = sorted(rng.randrange(len(body) + 1) for _ in range(rng.randrange(8)))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)])]


SHAPES = {
    "data byte by byte": lambda n: bytewise(field(data=b"x" * n) + CLOSE),
    "CRs byte by byte": lambda n: bytewise(field(data=b"\r" * n) + CLOSE),
    "almost delimiters byte by byte": lambda n: bytewise(
        field(data=b"\r\n--Xy" * (n // 6)) + CLOSE
    ),
    "boundaries that go on byte by byte": lambda n: bytewise(
        field(data=b"\r\n--XyZW" * (n // 8)) + CLOSE
    ),
    "boundaries that go on at once": lambda n: [field(data=b"\r\n--XyZW" * (n // 8)) + CLOSE],
    "padding byte by byte": lambda n: bytewise(
        field(data=(b"\r\n--XyZ" + b" " * 140) * (n // 147)) + CLOSE
    ),
    "a long header byte by byte": lambda n: bytewise(
        field(extra=b"X: " + b"x" * n + b"\r\n") + CLOSE
    ),
    "a preamble byte by byte": lambda n: bytewise(b"\r\n-" * (n // 3) + field() + CLOSE),
    "an epilogue byte by byte": lambda n: bytewise(CLOSE + b"\r\n-" * (n // 3)),
    "many parts at once": lambda n: [field() * (n // 60) + CLOSE],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_work_grows_no_faster_than_the_body(shape):
    limits = MultipartLimits(parts=10**6)
    once, twice = (calls_of(lambda n=n: parse(shape(n), limits)) for n in (3000, 6000))
    assert twice < 2.1 * once + 100


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(lambda n: b"X:" + b" " * n + b"\0", id="spaces"),
        pytest.param(lambda n: b"X: " + b"\t " * (n // 2) + b"x\x7f", id="spaces and tabs"),
        pytest.param(lambda n: b"x" * n, id="no colon"),
    ],
)
def test_a_hostile_header_line_takes_linear_time(line):
    def work(size):
        body = [field(extra=line(size) + b"\r\n")]

        def refuse():
            with pytest.raises(MultipartError, match="invalid header line"):
                parse(body, MultipartLimits(header_bytes=10**6))
        return refuse

    assert_linear(work)


@pytest.fixture
def traced_memory():
    """Gives a function: (bytes kept, peak of bytes) since the test began."""
    tracemalloc = pytest.importorskip("tracemalloc")
    try:
        tracemalloc.start()
    except NotImplementedError:
        pytest.skip("no tracemalloc here")
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: [size - before for size in tracemalloc.get_traced_memory()]
    tracemalloc.stop()


def test_what_is_kept_between_two_segments_is_less_than_a_delimiter(traced_memory):
    parser = MultipartParser(BOUNDARY)
    parser.receive_data(b"--XyZ\r\n" + FILE + b"\r\n")
    for _ in range(400):
        parser.receive_data(b"x" * 65530 + b"\r\n--Xy")
        while parser.next_event() is not NEED_DATA:
            pass
    kept, peak = traced_memory()
    assert kept < 65530  # not even one read; the test runner's own threads allocate too
    assert peak < 5 * 65536


def test_what_follows_the_end_is_not_kept(traced_memory):
    parser = MultipartParser(BOUNDARY)
    parser.receive_data(CLOSE)
    assert parser.next_event() is END
    for _ in range(400):
        parser.receive_data(b"x" * 65530 + b"\r\n--Xy")
    kept, peak = traced_memory()
    assert kept < 65530  # not even one read; the test runner's own threads allocate too
    assert peak < 5 * 65536


ALPHABET = [
    b"a",
    b"\r",
    b"\n",
    b"\r\n",
    b"-",
    b"--",
    b"XyZ",
    b"\r\n--Xy",
    b"\0\xff",
    b"x" * 99,
]


def random_form(rng):
    parts = []
    for number in range(rng.randrange(5)):
        data = b"".join(rng.choice(ALPHABET) for _ in range(rng.randrange(30)))
        if b"\n--XyZ" in b"\n" + data:
            continue
        filename = rng.choice((None, "", "a.txt", "größe €.bin"))
        parts.append((f"n{number}", filename, None if filename is None else "x/y", data))
    body = b""
    for name, filename, content_type, data in parts:
        body += b'--XyZ\r\nContent-Disposition: form-data; name="%s"' % name.encode()
        if filename is not None:
            body += b'; filename="%s"\r\nContent-Type: %s' % (
                filename.encode(),
                content_type.encode(),
            )
        body += b"\r\n\r\n" + data + b"\r\n"
    return parts, body + CLOSE


@pytest.mark.parametrize("seed", range(10))
def test_what_was_put_into_a_form_comes_out(seed):
    rng = random.Random(seed)
    for _ in range(100):
        parts, body = random_form(rng)
        assert parse([body]) == parts
        assert parse(random_cuts(rng, body)) == parts


def test_python_multipart_finds_the_same_parts():
    library = pytest.importorskip("python_multipart.multipart")
    rng = random.Random(7)
    for _ in range(200):
        parts, body = random_form(rng)
        if not parts:
            continue
        found = []
        callbacks = {
            "on_part_begin": lambda found=found: found.append(b""),
            "on_part_data": lambda data, start, end, found=found: found.append(
                found.pop() + data[start:end]
            ),
        }
        parser = library.MultipartParser(BOUNDARY, callbacks)
        parser.write(body)
        parser.finalize()
        assert found == [part[3] for part in parse([body])]


def test_werkzeug_finds_the_same_parts():
    formparser = pytest.importorskip("werkzeug.formparser")
    rng = random.Random(8)
    for _ in range(200):
        _, body = random_form(rng)
        if b"\r--XyZ" in body:
            continue  # werkzeug takes a bare CR for a line end
        parser = formparser.MultiPartParser()
        form, files = parser.parse(io.BytesIO(body), BOUNDARY, len(body))
        fields = [(name, value) for name, value in form.items(multi=True)]
        uploads = [
            (name, file.filename, file.content_type, file.read())
            for name, file in files.items(multi=True)
        ]
        ours = parse([body])
        assert uploads == [part for part in ours if part[1] is not None]
        assert fields == [
            (name, data.decode("utf-8", "replace"))
            for name, filename, _, data in ours
            if filename is None
        ]
