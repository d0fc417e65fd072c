"""Random damage to requests: nothing but ProtocolError, and the same however it is cut.

Seeded; `TREMOLO_FUZZ_SEED` and `TREMOLO_FUZZ_ROUNDS` choose other and more rounds.
"""

import os
import random

from tests.protocol.http1.http1_transcripts import byte_by_byte, queued_transcript, transcript
from tremolo.protocol.http1 import Limits

SEED = int(os.environ.get("TREMOLO_FUZZ_SEED", "20240501"))
ROUNDS = int(os.environ.get("TREMOLO_FUZZ_ROUNDS", "3000"))

CORPUS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /x?y=z HTTP/1.0\r\nConnection: keep-alive\r\nHost: a:1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nAccept: */*\r\n\r\n",
    b"GET http://b/c?d HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=y\r\nhello\r\n06\r\n world\r\n0\r\nSum: 1\r\n\r\n",
    b"PUT /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    b"GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b":", b"0", b"\x7f", b"\xff", b";",
    b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"0\r\n\r\n",
    b"HTTP/1.1", b"HTTP/2.0", b"GET ", b"chunked", b"f" * 20, b"a" * 70, b"x: y\r\n" * 9,
]  # fmt: skip
LIMITS = Limits(request_line=64, header_section=160, fields=8, chunk_line=32, body=64)


def damaged(chance):
    raw = bytearray(b"".join(chance.choices(CORPUS, k=chance.randint(1, 3))))
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(raw) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            raw[at:at] = chance.choice(PIECES)
        elif kind == 1:
            del raw[at : at + chance.randint(1, 6)]
        elif kind == 2 and at < len(raw):
            raw[at] = chance.randrange(256)
        elif kind == 3:
            other = chance.choice(CORPUS)
            start = chance.randrange(len(other))
            raw[at:at] = other[start : start + chance.randint(1, 40)]
        else:
            raw[at : at + 2] = chance.choice(PIECES)
    return bytes(raw)


def random_pieces(chance, raw):
    pieces = []
    while raw:
        size = chance.choice((1, 2, 3, 7, 20, 60, 200))
        pieces.append(raw[:size])
        raw = raw[size:]
    return pieces


def test_damaged_requests_raise_nothing_else_and_mean_the_same_however_they_are_cut():
    chance = random.Random(SEED)
    faults = set()
    for number in range(ROUNDS):
        raw = damaged(chance)
        whole = transcript([raw], LIMITS)
        note = f"seed {SEED}, round {number}: {raw!r}"
        assert transcript(byte_by_byte(raw), LIMITS) == whole, note
        pieces = random_pieces(chance, raw)
        assert transcript(pieces, LIMITS) == whole, note
        assert queued_transcript(pieces, LIMITS) == whole, note
        faults.update(event[1:] for event in whole if event[0] == "fault")
        assert all(event[0] != "fault" for event in whole[:-1]), note
    assert len(faults) > 15 or ROUNDS < 1000


def test_random_bytes_are_refused():
    chance = random.Random(SEED)
    for _ in range(ROUNDS // 3):
        raw = bytes(chance.choices(b"GET /HP1.\r\n: \0\xff\x80a", k=chance.randint(1, 300)))
        assert transcript([raw], LIMITS) == transcript(byte_by_byte(raw), LIMITS)
