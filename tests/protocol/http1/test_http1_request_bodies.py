"""Request bodies: RFC 9112 sections 6 and 7; each row whole, cut everywhere, dripped."""

import pytest

from tests.protocol.http1.http1_transcripts import HOST, transcript, transcript_however_cut
from tremolo.protocol.http1 import END, NEED_DATA, Limits, ProtocolError, RequestParser

CHUNKED = b"POST /up HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: Chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"


def sized(length, fields=b""):
    return b"POST /up HTTP/1.1\r\n%bContent-Length: %d\r\n%b\r\n" % (HOST, length, fields)


VALID = [
    ("content-length", sized(5) + b"hello", b"hello", ()),
    ("a body like a request", sized(len(NEXT)) + NEXT, NEXT, ()),
    ("one chunk", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello", ()),
    ("chunks", CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", ()),
    ("no chunks", CHUNKED + b"0\r\n\r\n", b"", ()),
    ("hexadecimal of both cases",
     CHUNKED + b"0A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
     b"0123456789" * 2, ()),
    ("zeros", CHUNKED + b"0000000000000001\r\nx\r\n000\r\n\r\n", b"x", ()),
    ("extensions", CHUNKED + b'1;a=b;c="d\xe9"\r\nx\r\n0 ; e\r\n\r\n', b"x", ()),
    ("trailers", CHUNKED + b"1\r\nx\r\n0\r\nChecksum: 1 \r\nb:2\r\n\r\n", b"x",
     ((b"checksum", b"1"), (b"b", b"2"))),
    ("every kind of extension",
     CHUNKED + b'1;a;b=c \t;\td =\t"e;\\"\\\\f=" ; !#$=~\r\nx\r\n0;a=""\r\n\r\n', b"x", ()),
    ("trailers that would route",
     CHUNKED + b"0\r\nHost: evil\r\nCookie: a=b\r\nConnection: close\r\na: b\r\n\r\n", b"",
     ((b"a", b"b"),)),
    ("line ends as data", CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n", ()),
]  # fmt: skip


@pytest.mark.parametrize(
    "raw, body, trailers", [row[1:] for row in VALID], ids=[row[0] for row in VALID]
)
def test_a_valid_body_arrives_and_the_next_request_after_it(raw, body, trailers):
    result = transcript_however_cut(raw + NEXT)
    kinds = ["head", "body", "end", "head"] if body else ["head", "end", "head"]
    assert [event[0] for event in result] == kinds
    assert not body or result[1][1] == body
    assert result[-2] == ("end", trailers)


INVALID = [
    ("no size", b"\r\nhello", "bad chunked encoding: no chunk size"),
    ("extension without size", b";a\r\nhello", "bad chunked encoding: no chunk size"),
    ("sign", b"+5\r\nhello", "bad chunked encoding: no chunk size"),
    ("space before", b" 5\r\nhello", "bad chunked encoding: no chunk size"),
    ("0x", b"0x5\r\nhello", "bad chunked encoding"),
    ("underscore", b"0_5\r\nhello", "bad chunked encoding"),
    ("space after", b"5 \r\nhello", "bad chunked encoding"),
    ("17 digits", b"00000000000000005\r\nhello", "bad chunked encoding"),
    ("bare lf", b"5\nhello", "bad chunked encoding"),
    ("bare lf in the extension", b"5;a\nb\r\nhello", "bad chunked encoding"),
    ("bare cr in the extension", b"5;a\rb\r\nhello", "bad chunked encoding"),
    ("nul in the extension", b"5;a\0b\r\nhello", "bad chunked encoding"),
    ("no name of an extension", b"5;\r\nhello", "bad chunked encoding"),
    ("no name before a value", b"5;=a\r\nhello", "bad chunked encoding"),
    ("no value of an extension", b"5;a=\r\nhello", "bad chunked encoding"),
    ("two values of an extension", b"5;a=b=c\r\nhello", "bad chunked encoding"),
    ("brackets in a name", b"5;bad[=x\r\nhello", "bad chunked encoding"),
    ("a name of two words", b"5;a b\r\nhello", "bad chunked encoding"),
    ("a value of two words", b"5;a=b c\r\nhello", "bad chunked encoding"),
    ("an open quotation", b'5;a="b\r\nhello', "bad chunked encoding"),
    ("a quotation that goes on", b'5;a="b"c\r\nhello', "bad chunked encoding"),
    ("an escaped quotation mark at the end", b'5;a="b\\"\r\nhello', "bad chunked encoding"),
    ("a semicolon at the end", b"5;a;\r\nhello", "bad chunked encoding"),
    ("a space at the end", b"5;a \r\nhello", "bad chunked encoding"),
    ("endless line", b"5;" + b"a" * 400, "bad chunked encoding"),
    ("line over the limit", b"5;" + b"a" * 255 + b"\r\nhello", "bad chunked encoding"),
]  # fmt: skip


@pytest.mark.parametrize(
    "framing, reason", [row[1:] for row in INVALID], ids=[row[0] for row in INVALID]
)
def test_a_malformed_chunk_line_is_refused(framing, reason):
    first = transcript_however_cut(CHUNKED + framing + NEXT)
    assert first[1:] == [("fault", 400, reason)]
    later = transcript_however_cut(CHUNKED + b"2\r\nhe\r\n" + framing + NEXT)
    assert later[1:] == [("body", b"he"), ("fault", 400, reason)]


@pytest.mark.parametrize("field", [
    b"Content-Length: 9", b"Transfer-Encoding: chunked", b"transfer-ENCODING:"])
def test_trailers_that_would_move_the_end_of_the_body_are_refused(field):
    result = transcript_however_cut(CHUNKED + b"1\r\nx\r\n0\r\na: b\r\n" + field + b"\r\n\r\n"
                                    + NEXT)
    assert result[1:] == [
        ("body", b"x"), ("fault", 400, "bad chunked encoding: framing in the trailers")]


@pytest.mark.parametrize("end", [b"XX", b"\n", b"\rX", b"\r\r\n", b"0\r\n\r\n", b"\n\r\n"])
def test_chunk_data_must_be_followed_by_crlf(end):
    result = transcript_however_cut(CHUNKED + b"2\r\nhe" + end + NEXT)
    fault = ("fault", 400, "bad chunked encoding: invalid chunk terminator")
    assert result[1:] == [("body", b"he"), fault]


@pytest.mark.parametrize("trailers", [
    b"a : b\r\n\r\n", b": b\r\n\r\n", b"a\r\n\r\n", b"a: b\n\r\n", b"\n", b"a: \0\r\n\r\n",
    b" a: b\r\n\r\n", b"a: b\r\n c\r\n\r\n", b"\rX", b"a: b\r\r\n\r\n",
])  # fmt: skip
def test_trailers_follow_the_grammar_of_fields(trailers):
    result = transcript_however_cut(CHUNKED + b"1\r\nx\r\n0\r\n" + trailers + NEXT)
    assert result[1] == ("body", b"x")
    assert [event[:2] for event in result[2:]] == [("fault", 400)]


def test_the_limits_of_a_header_section_hold_for_trailers():
    limits = Limits(header_section=100, fields=3)
    fitting = b"a:" + b"b" * 96 + b"\r\n"
    raw = CHUNKED.replace(HOST, b"Host:a\r\n") + b"0\r\n"
    assert transcript_however_cut(raw + fitting + b"\r\n", limits)[-1][0] == "end"
    too_long = transcript_however_cut(raw + b"a" + fitting + b"\r\n", limits)
    assert too_long[1][:2] == ("fault", 431)
    assert transcript_however_cut(raw + b"a" * 300, limits)[1][:2] == ("fault", 431)
    too_many = transcript_however_cut(raw + b"a:b\r\n" * 4 + b"\r\n", limits)
    assert too_many[1][:2] == ("fault", 431)


def test_a_chunk_line_at_the_limit_is_accepted():
    raw = CHUNKED + b"1;" + b"a" * 254 + b"\r\nx\r\n0\r\n\r\n"
    assert transcript_however_cut(raw)[-1] == ("end", ())


def test_chunk_extensions_may_not_outweigh_the_body():
    chunk = b"1;" + b"a" * 199 + b"\r\nx\r\n"
    result = transcript([CHUNKED + chunk * 1000])
    assert result[-1] == ("fault", 400, "bad chunked encoding: too many chunk extensions")
    signed = b"1000;" + b"a" * 199 + b"\r\n" + b"x" * 4096 + b"\r\n"
    assert transcript([CHUNKED + signed * 1000 + b"0\r\n\r\n"])[-1][0] == "end"


def test_a_content_length_over_the_limit_is_refused_at_the_head():
    limits = Limits(body=10)
    assert transcript_however_cut(sized(10) + b"0123456789", limits)[-1][0] == "end"
    refused = transcript_however_cut(sized(11), limits)
    assert refused == [("fault", 413, "Payload Too Large")]
    expecting = sized(11, b"Expect: 100-continue\r\n")
    assert transcript_however_cut(expecting, limits) == [("fault", 417, "Expectation Failed")]


def test_the_limit_is_checked_for_each_request_with_the_same_head():
    parser = RequestParser(Limits(body=10))
    parser.receive_data(sized(11))
    with pytest.raises(ProtocolError):
        parser.next_event()
    assert transcript([sized(1) + b"x" + sized(1) + b"y"], Limits(body=1))[-1][0] == "end"


def test_chunks_over_the_limit_are_refused_before_their_data():
    result = transcript_however_cut(CHUNKED + b"8\r\n01234567\r\n3\r\nabc", Limits(body=10))
    assert result[1:] == [("body", b"01234567"), ("fault", 413, "payload too large")]
    at_limit = CHUNKED + b"8\r\n01234567\r\n2\r\n89\r\n0\r\n\r\n"
    assert transcript_however_cut(at_limit, Limits(body=10))[-1][0] == "end"


@pytest.mark.parametrize("raw", [sized(8) + b"01234567", CHUNKED + b"8\r\n01234567\r\n"])
def test_a_body_limit_can_be_set_for_one_message(raw):
    parser = RequestParser(Limits())
    parser.receive_data(raw)
    parser.next_event()
    parser.set_body_limit(7)
    with pytest.raises(ProtocolError) as raised:
        parser.next_event()
    assert raised.value.status == 413


def test_a_body_limit_lasts_for_one_message():
    parser = RequestParser(Limits(body=4))
    parser.receive_data(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + CHUNKED + b"5\r\nhello\r\n")
    parser.next_event()
    parser.set_body_limit(None)
    assert parser.next_event() == b"hello"
    assert parser.next_event() is END
    parser.next_cycle()
    parser.next_event()
    with pytest.raises(ProtocolError):
        parser.next_event()


def test_expect_continue_is_seen_with_a_body():
    for raw in (sized(1, b"Expect: 100-Continue\r\n"),
                CHUNKED.replace(HOST, HOST + b"Expect: 100-continue\r\n")):  # fmt: skip
        parser = RequestParser(Limits())
        parser.receive_data(raw)
        assert parser.next_event().expect_continue
        assert parser.next_event() is NEED_DATA


@pytest.mark.parametrize("raw", [
    sized(5) + b"hell", sized(5), CHUNKED, CHUNKED + b"5", CHUNKED + b"5\r\nhell",
    CHUNKED + b"5\r\nhello", CHUNKED + b"0\r\n", CHUNKED + b"0\r\na: b\r\n",
])  # fmt: skip
def test_an_end_within_a_body_is_a_fault(raw):
    assert transcript([raw], eof=True)[-1][:2] == ("fault", 400)
    assert transcript([raw])[-1][0] != "fault"


def test_a_read_that_is_all_body_is_handed_out_itself():
    data = bytes(100000)
    for head in (sized(300000), CHUNKED + b"%x\r\n" % 300000):
        parser = RequestParser(Limits())
        parser.receive_data(head)
        parser.next_event()
        assert parser.next_event() is NEED_DATA
        for _ in range(3):
            parser.receive_data(data)
            assert parser.next_event() is data


def test_reads_that_wait_while_the_body_is_not_asked_for_keep_their_order():
    parser = RequestParser(Limits())
    parser.receive_data(sized(26))
    parser.next_event()
    parser.receive_data(b"abc")
    parser.receive_data(b"def")
    assert parser.next_event() == b"abc"
    parser.receive_data(b"ghijklmnopqrstuvwxyzGET ")
    assert parser.buffered == 27
    assert parser.next_event() == b"defghijklmnopqrstuvwxyz"
    assert parser.next_event() is END


def test_small_chunks_of_one_read_come_as_one_piece():
    parser = RequestParser(Limits())
    parser.receive_data(CHUNKED + b"2\r\nhe\r\n" * 500 + b"0\r\n\r\n")
    parser.next_event()
    assert parser.next_event() == b"he" * 500
    assert parser.next_event() is END
