"""Running raw requests through the parser, whole and in pieces, to one comparable result."""

from tremolo.protocol.http1 import END, NEED_DATA, Limits, ProtocolError, RequestParser

HOST = b"Host: example.org\r\n"


def head_facts(head):
    return (
        "head", head.method, head.target, head.version, head.path, head.query,
        tuple(head.headers), head.host, head.content_length, head.chunked, head.has_body,
        head.keep_alive, head.expect_continue, head.upgrade,
    )  # fmt: skip


def pull(parser, result):
    """Take events until the parser wants data; pieces of body are joined in `result`."""
    while True:
        try:
            event = parser.next_event()
        except ProtocolError as fault:
            result.append(("fault", fault.status, fault.reason))
            return False
        if event is NEED_DATA:
            return True
        if event is END:
            result.append(("end", tuple(parser.trailers)))
            parser.next_cycle()
        elif isinstance(event, bytes):
            assert event
            if result[-1][0] == "body":
                event = result.pop()[1] + event
            result.append(("body", event))
        else:
            result.append(head_facts(event))
            if not event.has_body:
                parser.next_cycle()


def transcript(pieces, limits=None, eof=False):
    """What comes of the pieces: heads, bodies, ends, and the fault that ended it, if any."""
    parser = RequestParser(limits or Limits())
    result = []
    for piece in pieces:
        parser.receive_data(piece)
        if not pull(parser, result):
            return result
    if eof:
        parser.receive_eof()
        pull(parser, result)
    return result


def queued_transcript(pieces, limits=None):
    """The same when all pieces wait in the parser before the first event is taken."""
    parser = RequestParser(limits or Limits())
    for piece in pieces:
        parser.receive_data(piece)
    result = []
    pull(parser, result)
    return result


def byte_by_byte(raw):
    return [raw[at : at + 1] for at in range(len(raw))]


def transcript_however_cut(raw, limits=None):
    """The transcript of `raw`, after checking that no segmentation changes it."""
    whole = transcript([raw], limits)
    assert transcript(byte_by_byte(raw), limits) == whole
    assert queued_transcript(byte_by_byte(raw), limits) == whole
    step = 1 if len(raw) < 2000 else 97
    for at in range(1, len(raw), step):
        assert transcript([raw[:at], raw[at:]], limits) == whole, f"cut at {at}"
    return whole
