"""Where the script goes in HTML that streams by, at every cut; and what policies allow it."""

import pytest

from tremolo.worker.content_policy import judge
from tremolo.worker.injection import Injection

S = b"<S>"

DOCUMENTS = [
    pytest.param(before + b"|" + after, id=name) for name, before, after in (
        ("after head", b"<!doctype html><html><head>", b"<title>x</title></head><body></body>"),
        ("capitals", b"<!DOCTYPE HTML>\r\n<HTML>\r\n<HEAD>", b"\r\n<TITLE>x</TITLE>"),
        ("attributes", b"<html lang='a>b' data-x=\"<head>\"><head\n class=\">\" >", b"<title>"),
        ("slash", b"<html/><head/>", b"<title>"),
        ("no head", b"<!doctype html><html>\n", b"<body><p>one"),
        ("no html", b"<!doctype html>\n", b"<title>x</title><p>one"),
        ("only text", b"", b"hello"),
        ("text after space", b" \t\r\n\f", b"hello"),
        ("fragment", b"", b"<p>one</p>"),
        ("header is no head", b"<!doctype html><html>", b"<header><h1>x</h1></header>"),
        ("second html", b"<html>", b"<html><head>"),
        ("comment", b"<!-- <head> > -- <html> --><!doctype html><!-- -- > --!><head>", b"x"),
        ("empty comments", b"<!--><!---><!----><head>", b"x"),
        ("bogus comments", b"<?xml version='1.0'?><!ELEMENT x><!><head>", b"x"),
        ("legacy doctype", b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "x">', b"<p>"),
        ("byte order mark", b"\xef\xbb\xbf<!doctype html><head>", b"x"),
        ("cut within head", b"", b"<hea"),
        ("script first", b"", b"<script>document.write('<head>')</script>"),
        ("end tag", b"<!doctype html>", b"</html>"),
    )]


def inject(*pieces, snippet=S):
    injection = Injection(snippet)
    return b"".join(map(injection.feed, pieces)) + injection.end()


@pytest.mark.parametrize("marked", DOCUMENTS)
def test_the_script_is_the_first_of_the_head(marked):
    document = marked.replace(b"|", b"")
    assert inject(document) == marked.replace(b"|", S)


@pytest.mark.parametrize("marked", DOCUMENTS)
def test_it_goes_there_however_the_document_is_cut(marked):
    document = marked.replace(b"|", b"")
    expected = inject(document)
    assert inject(*(document[i:i + 1] for i in range(len(document)))) == expected
    for first in range(len(document) + 1):
        assert inject(document[:first], document[first:]) == expected
        for second in range(first, min(first + 12, len(document)) + 1):
            pieces = document[:first], document[first:second], document[second:]
            assert inject(*pieces) == expected


@pytest.mark.parametrize("marked", DOCUMENTS)
def test_no_more_is_held_back_than_the_beginning_of_a_tag(marked):
    document = marked.replace(b"|", b"")
    injection = Injection(S)
    sent = b""
    for index in range(len(document)):
        sent += injection.feed(document[index:index + 1])
        assert index + 1 - len(sent.replace(S, b"")) < len(b"<!doctype")


@pytest.mark.parametrize("document", [b"", b"<", b"<!", b"<!-- never ends", b"<html",
                                      b"<head x='", b"\xef\xbb", b"<!doctype"])
def test_a_document_that_ends_too_early_keeps_its_bytes(document):
    out = inject(document)
    assert len(out) == len(document) + len(S)
    assert out.replace(S, b"") == document


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_gets_blanks_at_its_end_and_no_script(mark):
    document = mark + "<html><head>".encode("utf-16-le")
    for cut in range(len(document) + 1):
        assert inject(document[:cut], document[cut:]) == document + b" " * len(S)


def test_many_comments_take_linear_time():
    injection = Injection(S)
    assert injection.feed(b"<!---->" * 200_000) == b"<!---->" * 200_000
    assert not injection.done


# -- Content-Security-Policy ------------------------------------------------------------------

HOST = b"localhost:8000"


@pytest.mark.parametrize("policy", [
    "", "img-src 'none'", "default-src 'self'", "script-src 'self'; connect-src *",
    "SCRIPT-SRC 'SELF'", "default-src http:", "default-src http://localhost:8000",
    "script-src localhost:8000", "default-src 'none'; script-src-elem 'self'; connect-src 'self'",
    "script-src 'unsafe-inline' *", "sandbox allow-scripts allow-same-origin",
    "default-src 'self', script-src 'self'", "script-src 'self'; script-src 'none'"])
def test_policies_that_allow_their_own_host_allow_the_script(policy):
    assert judge([policy.encode()], HOST) == ("", "")


@pytest.mark.parametrize(("policy", "directive"), [
    ("default-src 'none'", "default-src"), ("script-src 'none'", "script-src"),
    ("script-src", "script-src"), ("default-src 'self'; connect-src 'none'", "connect-src"),
    ("default-src 'self'; script-src-elem cdn.test", "script-src-elem"),
    ("script-src 'unsafe-inline' https://cdn.test", "script-src"),
    ("script-src 'self' 'strict-dynamic'", "script-src"), ("default-src https:", "default-src"),
    ("default-src http://localhost:9000", "default-src"), ("sandbox", "sandbox"),
    ("sandbox allow-scripts", "sandbox"), ("default-src 'self', script-src 'none'", "script-src"),
    ("script-src 'nonce-<script>'", "script-src"),
    ("script-src 'nonce-a', script-src 'nonce-b'", "script-src"),
    ("script-src 'nonce-abc'; connect-src api.test", "connect-src")])
def test_policies_that_block_it_are_named_by_their_directive(policy, directive):
    assert judge([policy.encode()], HOST).blocked_by == directive


def test_the_nonce_of_a_strict_policy_is_taken_over():
    policy = b"script-src 'strict-dynamic' 'nonce-4AEemGb0xJptoIGFP3Nd+/=='; connect-src 'self'"
    assert judge([policy], HOST) == ("", "4AEemGb0xJptoIGFP3Nd+/==")
    assert judge([policy, b"script-src 'self'"], HOST).nonce == "4AEemGb0xJptoIGFP3Nd+/=="
