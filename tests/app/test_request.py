"""docs/api.md section 7: the request's attributes and methods."""

import asyncio

import pytest

from tests.app.serving import get, handler, serve

HEAD = b"GET /a%20b?x=1&x=2&y=%C3%A9 HTTP/1.1\r\nHost: example.com:80\r\n"


def attribute(expression, head=HEAD, body=b"", **options):
    """What an expression on `request` gives in a handler."""

    async def show(request):
        found.append(eval(expression, {"request": request}))
        return ""

    found = []

    async def scenario(client):
        await client.raw(head + b"\r\n" + body)

    app = handler(show, "^/")
    serve(app, scenario, **options)
    return found[0]


@pytest.mark.parametrize("name, value", [
    ("method", b"GET"),
    ("url", b"/a%20b?x=1&x=2&y=%C3%A9"),
    ("path", b"/a%20b"),
    ("query_string", b"x=1&x=2&y=%C3%A9"),
    ("version", b"1.1"),
    ("host", b"example.com:80"),
    ("ip", b"127.0.0.1"),
    ("scheme", b"http"),
    ("content_type", b"application/octet-stream"),
    ("content_length", -1),
    ("has_body", False),
    ("is_valid", True),
    ("http_continue", False),
    ("http_keepalive", True),
    ("transfer_encoding", []),
    ("body_size", 0),
    ("timeout", 10.0),
    ("upgraded", False),
    ("client", ("127.0.0.1", 50000)),
    ("is_secure", False),
    ("query", {"x": ["1", "2"], "y": ["\u00e9"]}),
    ("cookies", {}),
    ("socket", None),
    ("transport.is_closing()", False),
    ("server is request.protocol", True),
    ("ctx is request.context is request.params", True),
    ("params.query['x']", ["1", "2"]),
    ("params.cookies", {}),
    ("header.getheaders()", [(b"host", b"example.com:80")]),
    ("headers", {b"host": [b"example.com:80"]}),
])
def test_attribute(name, value):
    assert attribute(f"request.{name}") == value


def test_a_query_of_more_than_100_fields_is_refused():
    async def show(request):
        return str(len(request.query))

    target = "/?" + "&".join(f"a{n}=" for n in range(101))
    response = get(handler(show), target)
    assert response.status == 400 and "100" in response.text


def test_fields_sent_several_times_keep_their_values_in_order():
    head = HEAD + b"X-A: 1\r\nx-a: 2\r\n"
    assert attribute("request.headers[b'x-a']", head) == [b"1", b"2"]


def test_getlist_splits_strips_lowers_and_reverses_each_line():
    head = HEAD + b"Cookie: a=123\r\nCookie: a=xxx, yyy\r\n"
    found = attribute("request.headers.getlist(b'cookie')", head)
    assert found == [b"a=123", b"yyy", b"a=xxx"]


def test_cookies_keep_their_case_and_come_in_reverse_order():
    head = HEAD + b'Cookie: Session=a%20b; x="q"; x=last\r\n'
    assert attribute("request.cookies", head) == {"Session": ["a b"], "x": ["last", "q"]}


FORWARDED = (HEAD + b"X-Forwarded-For: 9.9.9.9, 5.6.7.8\r\nX-Forwarded-Proto: https\r\n"
             b"X-Forwarded-Host: outer.example\r\n")


def test_forwarded_fields_are_not_believed_by_default():
    facts = "(request.ip, request.scheme, request.host)"
    assert attribute(facts, FORWARDED) == (b"127.0.0.1", b"http", b"example.com:80")


@pytest.mark.parametrize("trusted, ip", [
    (["127.0.0.1"], b"5.6.7.8"),
    (["127.0.0.0/8", "5.6.7.8"], b"9.9.9.9"),
    (["*"], b"9.9.9.9"),
    (["10.0.0.0/8"], b"127.0.0.1"),
])
def test_forwarded_fields_are_believed_from_trusted_proxies(trusted, ip):
    facts = attribute("(request.ip, request.scheme, request.host)", FORWARDED,
                      trusted_proxies=trusted)
    assert facts[0] == ip
    assert facts[1:] == ((b"https", b"outer.example") if ip != b"127.0.0.1"
                         else (b"http", b"example.com:80"))


def test_uid_is_unique_and_of_the_wanted_length():
    async def show(request):
        one, two = request.uid(), request.uid(20, ts_offset=5)
        assert len(one) == 32 and len(two) == 20 and request.uid() != one
        return ""

    assert get(handler(show), "/").status == 200


# -- the body ---------------------------------------------------------------------------------


async def pieces(*parts):
    for part in parts:
        yield part
        await asyncio.sleep(0)


def test_body_is_whole_and_a_second_call_gives_the_same():
    async def show(request):
        first = await request.body()
        assert await request.body() is first and request.eof()
        assert isinstance(first, bytearray) and request.body_size == 6
        return bytes(first)

    for body in (b"abcdef", pieces(b"ab", b"cdef")):
        assert get(handler(show), "/", method="POST", body=body).body == b"abcdef"


def test_stream_gives_the_pieces():
    async def show(request):
        async for piece in request.stream():
            yield piece + b"|"

    response = get(handler(show), "/", method="POST", body=pieces(b"ab", b"cd"))
    assert response.body.replace(b"|", b"") == b"abcd"


def test_stream_raw_of_a_chunked_body_has_its_framing():
    async def show(request):
        return b"".join([piece async for piece in request.stream(raw=True)])

    assert get(handler(show), "/", method="POST", body=pieces(b"abc")).body \
        == b"3\r\nabc\r\n0\r\n\r\n"
    assert get(handler(show), "/", method="POST", body=b"abc").body == b"abc"


def test_read_gives_exactly_the_size_or_what_is_left():
    async def show(request):
        found = [await request.read(0), await request.read(4), await request.read(4)]
        assert not request.eof()
        found += [await request.read(), await request.read(), await request.read(5)]
        assert request.eof()
        return repr(found)

    response = get(handler(show), "/", method="POST", body=pieces(b"abc", b"def", b"ghi"))
    assert response.text == repr([b"", b"abcd", b"efgh", b"i", b"", b""])


def test_recv_reads_too():
    async def show(request):
        return await request.recv(3) + b"|" + await request.recv()

    assert get(handler(show), "/", method="POST", body=b"abcdef").text == "abc|def"


def test_a_body_over_the_limit_is_413_and_may_be_raised():
    async def show(request):
        return str(len(await request.body()))

    assert get(handler(show), "/", method="POST", body=b"x" * 3_000_000).status == 413
    response = get(handler(show), "/", method="POST", body=b"x" * 3_000_000,
                   client_max_body_size=4_000_000)
    assert response.text == "3000000"


def test_a_chunked_body_over_the_limit_is_413():
    async def show(request):
        return str(len(await request.body()))

    body = pieces(*[b"x" * 50000] * 5)
    assert get(handler(show), "/", method="POST", body=body,
               client_max_body_size=100000).status == 413


def test_reading_longer_than_the_timeout_is_408():
    async def show(request):
        return await request.body(timeout=0.02)

    async def scenario(client):
        connection = client.connect()
        connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        line = await connection.receive_until(b"\r\n")
        connection.close()
        return line

    # The rest never comes, so that nothing but the timeout can answer.
    assert serve(handler(show), scenario).startswith(b"HTTP/1.1 408 ")


def test_100_continue_is_sent_when_the_body_is_first_read():
    async def show(request):
        return await request.body() if request.path == b"/read" else "unread"

    async def ask(client, path):
        connection = client.connect()
        connection.send(b"POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                        b"Content-Length: 3\r\n\r\n" % path)
        line = await connection.receive_until(b"\r\n")
        if b"100" in line:
            connection.send(b"abc")
            await connection.receive_until(b"\r\n")
            line += await connection.receive_until(b"\r\n")
        connection.close()
        return line

    async def scenario(client):
        assert b"100" in await ask(client, b"/read")
        assert b"200" in await ask(client, b"/unread")

    serve(handler(show, "^/"), scenario)


# -- forms ------------------------------------------------------------------------------------


def multipart(*parts, boundary="XX"):
    body = b""
    for name, filename, data in parts:
        disposition = f'form-data; name="{name}"'
        if filename is not None:
            disposition += f'; filename="{filename}"\r\nContent-Type: text/plain'
        body += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() \
            + data + b"\r\n"
    return {"method": "POST", "body": body + f"--{boundary}--\r\n".encode(),
            "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"}}


def test_form_urlencoded():
    async def show(request):
        form = await request.form()
        assert request.params.post is form and await request.form() is form
        return repr(form)

    response = get(handler(show), "/", method="POST", form={"a": ["1", "2"], "b": "\u00e9 &"})
    assert response.text == repr({"a": ["1", "2"], "b": ["\u00e9 &"]})


def test_form_multipart_with_files():
    async def show(request):
        form = await request.form()
        part = request.params.files["f"][0]
        return f"{form} {part['filename']} {part['type']} {part['data']} {part['eof']}"

    response = get(handler(show), "/",
                   **multipart(("a", None, b"1"), ("f", "x.txt", b"data")))
    assert response.text == f"{ {'a': ['1']} } x.txt text/plain {bytearray(b'data')} True"


@pytest.mark.parametrize("options", [
    {"method": "POST", "body": b"x"},
    {"method": "POST", "body": b"x", "headers": {"Content-Type": "text/plain"}},
    {"method": "POST", "body": b"x", "headers": {"Content-Type": "multipart/form-data"}},
])
def test_form_of_another_type_is_400(options):
    async def show(request):
        await request.form()

    response = get(handler(show), "/", **options)
    assert response.status == 400 and response.text.startswith("invalid Content-Type")


@pytest.mark.parametrize("options", [
    {"method": "POST", "form": {"a": "x" * 100}},
    {"method": "POST", "form": {f"a{n}": "" for n in range(4)}},
    multipart(("a", None, b"x" * 100)),
    multipart(("a", "f", b"x" * 100)),
    multipart(*[(f"a{n}", None, b"") for n in range(4)]),
])
def test_form_over_a_limit_is_413(options):
    async def show(request):
        await request.form(3, max_size=90)

    assert get(handler(show), "/", **options).status == 413


def test_files_gives_each_part():
    async def show(request):
        return repr([(part["name"], part["filename"], bytes(part["data"]), part["eof"])
                     async for part in request.files()])

    response = get(handler(show), "/", **multipart(
        ("a", "1.txt", b"one"), ("field", None, b"text"), ("b", "2.txt", b"")))
    assert response.text == repr([("a", "1.txt", b"one", True), ("field", None, b"text", True),
                                  ("b", "2.txt", b"", True)])


def test_a_long_part_comes_in_pieces():
    async def show(request):
        return repr([(part["name"], bytes(part["data"]), part["eof"])
                     async for part in request.files(max_file_size=3)])

    response = get(handler(show), "/",
                   **multipart(("a", "f", b"abcdefgh"), ("b", "g", b"xyz")))
    assert response.text == repr([("a", b"abc", False), ("a", b"def", False),
                                  ("a", b"gh", True), ("b", b"xyz", True)])


def test_a_part_streams():
    async def show(request):
        found = []
        async for part in request.files(max_file_size=0):
            found.append(b"".join([data async for data in part.stream()]))
            assert part["eof"]
        return repr(found)

    response = get(handler(show), "/",
                   **multipart(("a", "f", b"x" * 300000), ("b", "g", b"y")))
    assert response.text == repr([b"x" * 300000, b"y"])


def test_a_part_that_was_read_streams_too():
    async def show(request):
        async for part in request.files():
            yield b"".join([data async for data in part.stream()])

    assert get(handler(show), "/", **multipart(("a", "f", b"abc"), ("b", "g", b"def"))).text \
        == "abcdef"


def test_a_large_part_is_held_in_a_file_and_given_whole():
    data = bytes(range(256)) * 12000

    async def show(request, way=None):
        async for part in request.files():
            streamed = b"".join([piece async for piece in part.stream()]) \
                if request.path == b"/stream" else part["data"]
            assert streamed == data and part["eof"]
        return "ok"

    for path in ("/stream", "/data"):
        response = get(handler(show, "^/"), path, client_max_body_size=10_000_000,
                       **multipart(("a", "f", data)))
        assert response.text == "ok"


def test_files_goes_on_where_an_earlier_call_stopped():
    async def show(request):
        names = []
        async for part in request.files():
            names.append(part["name"])
            break
        async for part in request.files():
            names.append(part["name"])
        return " ".join(names)

    response = get(handler(show), "/", **multipart(("a", "f", b"1"), ("b", "g", b"2")))
    assert response.text == "a b"


def test_files_over_their_number_is_413():
    async def show(request):
        async for _ in request.files(max_files=2):
            pass

    parts = multipart(*[(f"f{n}", "f", b"") for n in range(3)])
    assert get(handler(show), "/", **parts).status == 413


def test_files_of_a_broken_body_is_400():
    async def show(request):
        async for _ in request.files():
            pass

    broken = multipart(("a", "f", b"1"))
    broken["body"] = broken["body"][:-8]
    assert get(handler(show), "/", **broken).status == 400


def test_files_in_a_thread():
    def show(request):
        return b"".join(b"".join(part.stream()) for part in request.files())

    response = get(handler(show), "/", **multipart(("a", "f", b"abc"), ("b", "g", b"def")))
    assert response.text == "abcdef"
