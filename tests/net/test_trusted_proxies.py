"""Behind a trusted proxy, and below a path: the same for ASGI, WSGI and native applications."""

import socket

import pytest

from tests.support.serving import run, serving
from tremolo import Tremolo
from tremolo.app.adapter import NativeAdapter
from tremolo.asgi.adapter import ASGIAdapter
from tremolo.config import Settings
from tremolo.wsgi.adapter import WSGIAdapter

FIELDS = (b"X-Forwarded-For: 6.6.6.6, 1.2.3.4:1024, 127.0.0.9\r\n"
          b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
          b"X-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /shop\r\n")
RFC_7239 = b'Forwarded: for=6.6.6.6, for="1.2.3.4:1024";proto=https;host="shop.example:8443"\r\n'
UPGRADE = (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")


def seen_by(kind, fields=b"", target=b"/a", family=socket.AF_INET, **settings):
    """What an application of a kind is told of one request."""
    seen = {}

    async def asgi(scope, receive, send):
        seen.update(scope, host=dict(scope["headers"])[b"host"].decode())
        seen["headers"] = scope["headers"]
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    def wsgi(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return []

    native = Tremolo()

    @native.route("/a")
    async def show(request):
        seen.update(ip=request.ip.decode(), host=request.host.decode(),
                    scheme=request.scheme.decode())
        return ""

    make = {"asgi": lambda: ASGIAdapter(asgi, Settings(**settings)),
            "wsgi": lambda: WSGIAdapter(wsgi, Settings(**settings)),
            "native": lambda: NativeAdapter(native, Settings(**settings))}[kind]

    async def main():
        adapter = make()
        await adapter.startup()
        async with serving(adapter, family=family, **settings) as site:
            await site.get(target, fields)
        await adapter.shutdown()

    run(main)
    return seen


SAME = {"asgi": ("scheme", "host", "server", "root_path", "path"),
        "wsgi": ("wsgi.url_scheme", "HTTP_HOST", "REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT",
                 "SCRIPT_NAME", "PATH_INFO"),
        "native": ("ip", "scheme", "host")}


@pytest.mark.parametrize(("kind", "fields", "expected"), [
    ("asgi", FIELDS, {"client": ("1.2.3.4", 1024), "scheme": "https",
                      "host": "shop.example:8443", "server": ("shop.example", 8443),
                      "root_path": "/shop", "path": "/shop/a", "raw_path": b"/a"}),
    ("asgi", RFC_7239, {"client": ("1.2.3.4", 1024), "scheme": "https",
                        "host": "shop.example:8443", "server": ("shop.example", 8443),
                        "root_path": "", "path": "/a"}),
    ("asgi", FIELDS + UPGRADE, {"type": "websocket", "client": ("1.2.3.4", 1024),
                                "scheme": "wss", "path": "/shop/a"}),
    ("wsgi", FIELDS, {"REMOTE_ADDR": "1.2.3.4", "REMOTE_PORT": "1024",
                      "wsgi.url_scheme": "https", "HTTP_HOST": "shop.example:8443",
                      "SERVER_NAME": "shop.example", "SERVER_PORT": "8443",
                      "SCRIPT_NAME": "/shop", "PATH_INFO": "/a"}),
    ("wsgi", RFC_7239, {"REMOTE_ADDR": "1.2.3.4", "wsgi.url_scheme": "https",
                        "HTTP_HOST": "shop.example:8443", "SCRIPT_NAME": ""}),
    ("native", FIELDS, {"ip": "1.2.3.4", "scheme": "https", "host": "shop.example:8443"}),
    ("native", RFC_7239, {"ip": "1.2.3.4", "scheme": "https", "host": "shop.example:8443"}),
], ids=["asgi", "asgi, RFC 7239", "websocket", "wsgi", "wsgi, RFC 7239", "native",
        "native, RFC 7239"])
def test_a_trusted_proxy_speaks_for_its_client(kind, fields, expected):
    seen = seen_by(kind, fields, trusted_proxies="127.0.0.0/8")
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.parametrize("kind", ["asgi", "wsgi", "native"])
def test_a_proxy_on_a_unix_socket_is_trusted_by_name(kind):
    seen = seen_by(kind, FIELDS.replace(b", 127.0.0.9", b""), family=socket.AF_UNIX,
                   trusted_proxies="unix:")
    assert seen.get("client", (seen.get("REMOTE_ADDR") or seen.get("ip"),))[0] == "1.2.3.4"


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8", "unix"])
@pytest.mark.parametrize("kind", ["asgi", "wsgi", "native"])
def test_nobody_else_is_believed(kind, trusted):
    seen = seen_by(kind, FIELDS + RFC_7239, trusted_proxies=trusted)
    plain = seen_by(kind, trusted_proxies=trusted)
    for name in SAME[kind]:
        if "server" not in name.lower():  # each on a port of its own
            assert seen[name] == plain[name]


def test_the_host_is_there_once_and_the_rest_as_it_was_sent():
    headers = seen_by("asgi", FIELDS, trusted_proxies="*")["headers"]
    assert [value for name, value in headers if name == b"host"] == [b"shop.example:8443"]
    assert (b"x-forwarded-port", b"8443") in headers


@pytest.mark.parametrize(("origin", "reaches"), [
    (b"https://shop.example:8443", True), (b"https://evil.example", False)])
def test_the_origin_of_a_websocket_is_compared_with_the_host_in_force(origin, reaches):
    seen = seen_by("asgi", FIELDS + UPGRADE + b"Origin: " + origin + b"\r\n", debug=True,
                   trusted_proxies="*")
    assert bool(seen) is reaches


# Below a path


@pytest.mark.parametrize(("root", "target", "path", "info"), [
    ("", b"/x", "/x", "/x"),
    ("/", b"/x", "/x", "/x"),
    ("/app", b"/x", "/app/x", "/x"),
    ("/app/", b"/x", "/app/x", "/x"),
    ("app", b"/x", "/app/x", "/x"),
    ("/app", b"/app/x", "/app/x", "/x"),
    ("/app/", b"/app/x", "/app/x", "/x"),
    ("/app", b"/app", "/app", ""),
    ("/app", b"/app/", "/app/", "/"),
    ("/app", b"/application", "/app/application", "/application"),
    ("/app", b"/%61pp/x", "/app/x", "/x"),
    ("/a/b", b"/a/b/x", "/a/b/x", "/x"),
    ("/a/b", b"/a/x", "/a/b/a/x", "/a/x"),
    ("/é", b"/%C3%A9/x", "/é/x", "/x"),
    ("/é", b"/x", "/é/x", "/x"),
])
def test_the_path_has_the_root_path_once_whatever_the_proxy_does(root, target, path, info):
    scope = seen_by("asgi", target=target, root_path=root)
    clean = root.strip("/")
    assert scope["root_path"] == ("/" + clean if clean else "")
    assert (scope["path"], scope["raw_path"]) == (path, target)
    environ = seen_by("wsgi", target=target, root_path=root)
    script = environ["SCRIPT_NAME"].encode("latin-1").decode()
    assert (script, environ["PATH_INFO"]) == (scope["root_path"], info)


def test_a_prefix_of_a_trusted_proxy_takes_the_place_of_the_root_path():
    seen = seen_by("asgi", b"X-Forwarded-Prefix: /v2/\r\n", root_path="/v1",
                   trusted_proxies="127.0.0.1")
    assert (seen["root_path"], seen["path"]) == ("/v2", "/v2/a")


def test_a_request_about_the_whole_server_has_no_path_to_mount():
    async def app(scope, receive, send):
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def main():
        settings = {"root_path": "/app"}
        async with serving(ASGIAdapter(app, Settings(**settings)), **settings) as site:
            await site.ask(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    seen = []
    run(main)
    assert seen == ["*"]
