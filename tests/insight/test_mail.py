"""Mail that a request sends: readable as its reader would read it, and kept where that is asked
for: then no server is reached, and the application goes on as if its mail had been sent.
"""

import asyncio
import http.client
import smtplib
import socket
import sys
from email.message import EmailMessage
from time import perf_counter

import pytest

from tests.insight.test_calls import mailbox  # noqa: F401 - fixture
from tests.insight.test_queries import insight, record  # noqa: F401 - fixtures
from tests.support.watching import Watched
from tremolo.insight.events import event_of
from tremolo.insight.mail import MAX_READ, MAX_TEXT, mail_of
from tremolo.telemetry.codec import MAX_LINE, encode

PLAIN = "From: me@shop\nSubject: Hello\n\nFollow http://shop/reset?token=abc\n"


def message(**more):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "me@shop", "you@shop", "Grüße"
    made.set_content(more.get("text", "plain: ä\nsecond line\n"))
    made.add_alternative("<p>as html</p>\n", subtype="html")
    made.add_attachment(b"x" * 1000, maintype="image", subtype="png", filename="a.png")
    return made


@pytest.fixture
def nobody():
    """A port that nobody listens on, as long as the socket lives."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


# -- reading

def test_a_mail_is_read_with_its_bodies_and_attachments():
    mail = mail_of("me@shop", ["you@shop", "her@shop"], message().as_bytes())
    assert mail == {
        "sender": "me@shop", "to": ["you@shop", "her@shop"], "subject": "Grüße",
        "text": "plain: ä\nsecond line\n", "html": "<p>as html</p>\n",
        "attachments": [{"name": "a.png", "type": "image/png", "size": 1000}]}


def test_a_mail_of_text_is_read_unmasked():
    assert mail_of("a", "b", PLAIN)["text"] == "Follow http://shop/reset?token=abc\n"


@pytest.mark.parametrize("data", [
    b"", b"\xff\xfe", b"Content-Type: text/plain; charset=nonsense\n\n\xff", "ä\ud800",
    b"Content-Type: multipart/mixed; boundary=x\n\n--y\n", b"Subject: =?x?q?\xff?=\n\n",
    b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!!"])
def test_what_is_no_message_is_read_as_far_as_it_goes(data):
    mail = mail_of(None, (), data)
    assert set(mail) == {"sender", "to", "subject", "text", "html", "attachments"}
    encode({"mail": mail})


def test_of_a_large_mail_a_bounded_part_is_read():
    mail = mail_of("a", ["b"] * 100, message(text="ä" * 100_000).as_bytes() + b"x" * MAX_READ)
    assert mail["cut"] and len(mail["to"]) == 20 and len(mail["text"]) < MAX_TEXT + 100


def test_an_event_with_many_large_mails_fits_its_line(record):  # noqa: F811
    for _ in range(50):
        record.add_call("mail", "SEND", "you@shop", "sent", 0.0, 0.0, None, mail_of(
            "a", ["b"], message(text="漢" * 9000).as_bytes()))
    assert len(encode(event_of(record, True))) < MAX_LINE


# -- smtplib

def test_a_mail_that_is_sent_can_be_read(record, mailbox):  # noqa: F811
    with smtplib.SMTP("127.0.0.1", mailbox, local_hostname="here", timeout=5) as client:
        client.sendmail("me@shop", ["you@shop"], PLAIN)
    [call] = record.calls
    assert (call.status, call.mail["subject"]) == ("sent", "Hello")


@pytest.mark.parametrize("kind", [smtplib.SMTP, smtplib.SMTP_SSL])
def test_mail_that_is_kept_needs_no_server(record, insight, nobody, kind):  # noqa: F811
    insight.hold_mail(True)
    with kind("127.0.0.1", nobody, timeout=5) as client:
        client.ehlo()
        if kind is smtplib.SMTP:
            client.starttls()
        client.login("me", "secret")
        assert client.sendmail("me@shop", ["you@shop"], PLAIN) == {}
        assert client.send_message(message()) == {}
    assert [(call.status, call.mail["subject"]) for call in record.calls] == [
        ("kept", "Hello"), ("kept", "Grüße")]


def test_a_mail_is_kept_from_a_server_that_was_reached_before(
        record, insight, mailbox):  # noqa: F811
    with smtplib.SMTP("127.0.0.1", mailbox, local_hostname="here", timeout=5) as client:
        insight.hold_mail(True)
        assert client.sendmail("me@shop", ["you@shop"], PLAIN) == {}
        client.mail("me@shop")
        client.rcpt("you@shop")
        assert client.data("text")[0] == 250
        insight.hold_mail(False)
        assert client.sendmail("me@shop", ["you@shop"], PLAIN) == {}
    assert [call.status for call in record.calls] == ["kept", "sent"]


def test_mail_goes_to_servers_again_once_it_is_no_longer_kept(insight, nobody):  # noqa: F811
    insight.hold_mail(True)
    client = smtplib.SMTP("127.0.0.1", nobody, timeout=5)
    insight.hold_mail(False)
    assert client.sendmail("me@shop", ["you@shop"], PLAIN) == {}, "it has no connection"
    with pytest.raises(ConnectionRefusedError):
        client.connect("127.0.0.1", nobody)


def test_mail_is_kept_outside_of_requests_and_unwatched(insight, nobody):  # noqa: F811
    insight.watch(0)
    insight.hold_mail(True)
    assert insight.watching
    with smtplib.SMTP("127.0.0.1", nobody, timeout=5) as client:
        assert client.sendmail("me@shop", ["you@shop"], PLAIN) == {}
    insight.hold_mail(False)
    assert not insight.watching


# -- aiosmtplib

def test_a_mail_of_aiosmtplib_can_be_read(record, mailbox):  # noqa: F811
    aiosmtplib = pytest.importorskip("aiosmtplib")
    asyncio.run(aiosmtplib.send(
        message(), hostname="127.0.0.1", port=mailbox, start_tls=False, local_hostname="here"))
    [call] = record.calls
    assert (call.method, call.target, call.status) == ("SEND", "you@shop", "sent")
    assert (call.mail["subject"], call.mail["sender"]) == ("Grüße", "me@shop")


def test_mail_of_aiosmtplib_that_is_kept_needs_no_server(record, insight, nobody):  # noqa: F811
    aiosmtplib = pytest.importorskip("aiosmtplib")

    async def main():
        insight.hold_mail(True)
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=nobody, timeout=5) as client:
            assert client.is_connected
            await client.ehlo()
            await client.starttls()
            await client.login("me", "secret")
            assert (await client.sendmail("me@shop", ["you@shop"], PLAIN))[0] == {}
            assert (await client.send_message(message()))[0] == {}
            await client.mail("me@shop")
            await client.rcpt("you@shop")
            assert (await client.data("text")).code == 250
            await client.noop()
        assert not client.is_connected
        await aiosmtplib.send(message(), hostname="127.0.0.1", port=nobody, username="me",
                              password="secret", start_tls=True)

    asyncio.run(main())
    assert [(call.status, call.mail["subject"]) for call in record.calls] == [
        ("kept", "Hello"), ("kept", "Grüße"), ("kept", "Grüße")]


def test_mail_of_aiosmtplib_is_kept_from_a_server_that_was_reached_before(
        record, insight, mailbox):  # noqa: F811
    aiosmtplib = pytest.importorskip("aiosmtplib")

    async def main():
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox, start_tls=False,
                                   timeout=5) as client:
            insight.hold_mail(True)
            await client.sendmail("me@shop", ["you@shop"], PLAIN)
            await client.mail("me@shop")
            await client.rcpt("you@shop")
            assert (await client.data("text")).code == 250
            insight.hold_mail(False)
            await client.sendmail("me@shop", ["you@shop"], PLAIN)

    asyncio.run(main())
    assert [call.status for call in record.calls] == ["kept", "sent"]


def test_a_client_of_aiosmtplib_that_was_held_is_not_connected_once_nobody_watches(
        insight, nobody):  # noqa: F811
    aiosmtplib = pytest.importorskip("aiosmtplib")

    async def main():
        insight.hold_mail(True)
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=nobody, start_tls=False, timeout=5)
        await client.connect()
        insight.hold_mail(False)
        await client.sendmail("me@shop", ["you@shop"], PLAIN)  # it has no connection
        insight.watch(0)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.noop()
        with pytest.raises(aiosmtplib.SMTPConnectError):
            await client.connect()

    asyncio.run(main())


# -- Django

def test_djangos_mail_is_read_whatever_its_backend_and_kept_where_it_would_leave(
        record, insight, nobody, monkeypatch):  # noqa: F811
    pytest.importorskip("django")
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    from django.core import mail
    from django.core.mail.backends.base import BaseEmailBackend

    class Service(BaseEmailBackend):
        def send_messages(self, messages):
            given.extend(messages)
            return len(messages)

    given = []
    Service.__module__ = "service"
    monkeypatch.setitem(sys.modules, "service", type(sys)("service"))
    sys.modules["service"].Service = Service
    monkeypatch.setattr(settings, "EMAIL_PORT", nobody, raising=False)
    monkeypatch.setattr(mail, "outbox", [], raising=False)
    own = "django.core.mail.backends.{}.EmailBackend"
    insight.watch(1)
    for backend in (own.format("locmem"), "service.Service"):
        connection = mail.get_connection(backend)
        assert mail.send_mail("One", "text", "me@shop", ["you@shop"], connection=connection) == 1
    insight.hold_mail(True)
    for backend in (own.format("locmem"), "service.Service", own.format("smtp")):
        connection = mail.get_connection(backend)
        assert mail.send_mass_mail(
            [("Two", "text", "me@shop", ["you@shop"])], connection=connection) == 1
    assert [(call.status, call.target, call.mail["subject"]) for call in record.calls] == [
        ("given to locmem", "you@shop", "One"), ("given to service", "you@shop", "One"),
        ("given to locmem", "you@shop", "Two"), ("kept", "you@shop", "Two"),
        ("kept", "you@shop", "Two")]
    assert len(given) == 1 and len(mail.outbox) == 2
    record.calls.clear()
    insight.hold_mail(False)
    mail.get_connection("service.Service").send_messages(given * 3)
    assert len({call.seconds for call in record.calls}) == 1, "each has its share of the time"
    assert sum(call.seconds for call in record.calls) < perf_counter() - record.calls[0].began


# -- the server

APP = """
import smtplib
VERSION = 1

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    try:
        with smtplib.SMTP("127.0.0.1", int(scope["path"][1:]), timeout=5) as client:
            client.sendmail("me@shop", ["you@shop"], "Subject: Hello\\n\\ntext")
        answer = b"sent %d" % VERSION
    except OSError as exc:
        answer = type(exc).__name__.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer})
"""


def test_the_switch_outlives_a_reload_and_is_told_to_each_viewer(tmp_path, nobody):
    path = tmp_path / "shop.py"
    path.write_text(APP)

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", watched.port, timeout=30)
        connection.request("GET", f"/{nobody}")
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer

    with Watched(tmp_path, "shop:app") as watched:
        assert watched.wait_for("hello")["hold_mail"] is False
        assert ask() == "ConnectionRefusedError"
        assert watched.command("mail", hold=True)["ok"]
        assert watched.wait_for("mail")["hold"] is True
        assert ask() == "sent 1"
        path.write_text(APP.replace("VERSION = 1", "VERSION = 20"))
        assert watched.command("reload")["ok"]
        assert ask() == "sent 20"
        assert watched.command("detail", level=1)["ok"]
        assert ask() == "sent 20"
        [call] = watched.wait_for("insight")["calls"]
        assert (call["status"], call["mail"]["text"]) == ("kept", "text")
        assert watched.command("status")["result"]["hold_mail"] is True
        assert not watched.command("mail", hold="yes")["ok"]
        assert watched.command("mail", hold=False)["ok"]
        assert ask() == "ConnectionRefusedError"
