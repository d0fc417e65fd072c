"""docs/api.md section 7: the response's members."""

import pytest

from tests.app.serving import get, handler, serve
from tremolo.exceptions import InternalServerError


def responding(code):
    """The response of a handler whose body is `code` (with `response` and `request`)."""
    scope = {"InternalServerError": InternalServerError}
    lines = "".join(f"    {line}\n" for line in code.splitlines())
    exec(f"async def show(request, response):\n{lines}", scope)
    return get(handler(scope["show"]), "/")


def test_headers_are_a_dict_of_lists_by_lower_case_name():
    response = responding("""
response.set_header("X-One", "1")
response.append_header(b"x-one", b"2")
assert response.headers[b"x-one"] == [b"1", b"2"]
response.headers[b"x-two"] = [b"3"]
del response.headers[b"content-type"]
return "x" """)
    assert response.header("x-one") == "1, 2" and response.header("x-two") == "3"
    assert not response.header("content-type")


def test_set_header_replaces():
    response = responding("""
response.append_header("X", "1")
response.set_header("x", "2")
return "" """)
    assert response.header("x") == "2"


def test_names_keep_their_case_on_the_wire():
    async def show(response):
        response.set_header("X-CamelCase", "1")
        return ""

    async def scenario(client):
        return await client.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert b"\r\nX-CamelCase: 1\r\n" in serve(handler(show), scenario)


def test_default_fields_come_in_order():
    async def show(response):
        response.set_header("X-Own", "1")
        return ""

    async def scenario(client):
        return await client.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    wire = serve(handler(show), scenario).lower()
    positions = [wire.index(name) for name in
                 (b"\r\ndate:", b"\r\nserver:", b"\r\ncontent-type:", b"\r\nx-own:",
                  b"\r\nconnection:")]
    assert positions == sorted(positions)


@pytest.mark.parametrize("statement", [
    'response.set_header("X", "a\\r\\nb")', 'response.append_header("X\\n", "a")',
    'response.set_header("X", "\\u20ac")',
])
def test_a_line_break_or_text_beyond_latin_1_is_an_error(statement):
    response = responding(f"""
try:
    {statement}
except InternalServerError:
    return "refused" """)
    assert response.text == "refused"


def test_headers_cannot_be_changed_once_sent():
    response = responding("""
assert not response.headers_sent()
await response.write("a")
assert response.headers_sent()
for change in (lambda: response.headers, lambda: response.set_header("a", "b"),
               lambda: response.set_status(404), lambda: response.set_content_type("x")):
    try:
        change()
    except InternalServerError:
        await response.write("+")
""")
    assert response.text == "a++++"


def test_status():
    response = responding("""
assert response.get_status() == (200, b"OK")
response.set_status(404)
assert response.get_status() == (404, b"Not Found")
response.set_status(299, "Fine")
return response.line""")
    assert (response.status, response.reason) == (299, "Fine")
    assert response.text == "HTTP/1.1 299 Fine"


def test_content_type():
    response = responding("""
response.set_content_type("text/plain")
assert response.content_type == b"text/plain"
response.set_header("X", "1")
response.set_content_type(b"text/css")
return "" """)
    assert response.header("content-type") == "text/css"


def test_base_headers_are_sent_once():
    response = responding("""
response.set_base_headers()
return "" """)
    assert response.header("server") == "Tremolo"
    assert response.header("date").count("GMT") == 1


# -- cookies ----------------------------------------------------------------------------------


def test_a_cookie_is_for_the_session_unless_it_expires():
    response = responding("""
response.set_cookie("a", "x y")
response.set_cookie("b", "1", expires=60, httponly=True, secure=True, samesite="Strict")
response.set_cookie("c", expires=-1, path="/p", domain="example.com")
return "" """)
    a, b, c = [value for name, value in response.headers if name == "set-cookie"]
    assert a == "a=x%20y; Path=/"
    assert "Max-Age=60" in b and "Expires=" in b
    assert b.endswith("Path=/; Secure; HttpOnly; SameSite=Strict")
    assert "Max-Age=0" in c and "Path=/p" in c and "Domain=example.com" in c


@pytest.mark.parametrize("cookie", [
    '"a b", "x"', '"__Host-a", "x"', '"a", "x", samesite="None"', '"a", "x", samesite="Any"',
])
def test_a_cookie_that_browsers_would_drop_is_an_error(cookie):
    response = responding(f"""
try:
    response.set_cookie({cookie})
except ValueError:
    return "refused" """)
    assert response.text == "refused"


# -- sending ----------------------------------------------------------------------------------


def test_write_streams_and_an_empty_write_ends():
    response = responding("""
await response.write("a")
await response.write(b"b")
await response.write(b"") """)
    assert response.body == b"ab" and response.header("transfer-encoding") == "chunked"


def test_write_none_sends_the_head_then_ends():
    response = responding("""
await response.write()
assert response.headers_sent()
await response.write("abc")
await response.write(None) """)
    assert response.body == b"abc"


def test_write_with_a_content_length_is_not_chunked():
    response = responding("""
response.set_header("Content-Length", "3")
await response.write("abc")
await response.write(b"") """)
    assert response.header("content-length") == "3" and response.body == b"abc"


def test_end_sends_all_with_its_length():
    response = responding('await response.end("abc")')
    assert response.header("content-length") == "3" and response.keeps_alive


def test_end_without_keepalive_closes():
    response = responding('await response.end(b"abc", keepalive=False)')
    assert not response.keeps_alive and response.body == b"abc"


def test_end_after_write_completes():
    response = responding("""
await response.write("a")
await response.end("b") """)
    assert response.body == b"ab"


def test_send_takes_bytes_and_none_only():
    response = responding("""
response.set_header("Content-Length", "5")
await response.write("a")
await response.send(b"b")
response.send_nowait(b"c")
for value in ("text", 5):
    try:
        await response.send(value)
    except TypeError:
        await response.write("+")
await response.send(None) """)
    assert response.body == b"abc++" and response.keeps_alive


def test_close_completes_the_response():
    response = responding("""
response.set_header("Content-Length", "1")
await response.write("a")
response.close() """)
    assert response.body == b"a"


@pytest.mark.parametrize("code, version, status", [
    (None, "1.1", 302), (301, "1.1", 301), (303, "1.1", 303), (303, "1.0", 302),
    (307, "1.1", 302), (200, "1.1", 302),
])
def test_redirect(code, version, status):
    async def show(response):
        raise response.redirect("/there?x=1", code)

    async def scenario(client):
        return await client.raw(b"GET / HTTP/%s\r\nHost: a\r\n\r\n" % version.encode())

    wire = serve(handler(show), scenario)
    assert wire.startswith(b"HTTP/1.1 %d " % status)
    assert b"location: /there?x=1\r\n" in wire.lower()


def test_a_redirect_says_the_phrase_of_its_status():
    async def show(response):
        raise response.redirect("/there", 301)

    assert get(handler(show), "/").reason == "Moved Permanently"


def test_the_response_knows_its_request():
    assert responding("return str(response.request is request)").text == "True"


def test_a_redirect_beyond_ascii_is_percent_encoded():
    async def show(response):
        raise response.redirect("/caf\u00e9?x=%20")

    assert get(handler(show), "/").header("location") == "/caf%C3%A9?x=%20"
