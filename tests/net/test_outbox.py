"""How much the outbox hands over at once, and when: to sockets that take it, and to others."""

import asyncio
import os

import pytest

from tests.support.serving import run, settle
from tremolo.net.counters import Counters
from tremolo.net.outbox import (
    HIGH_WATER,
    LARGEST_SHARE,
    LARGEST_WRITE,
    LOW_WATER,
    SHARE,
    SHARE_SECONDS,
    UNBROKEN,
    WRITE_SIZE,
    Outbox,
)

PIECE = 64 * 1024
needs_writev = pytest.mark.skipif(not hasattr(os, "writev"), reason="no writev(2) here")


class Wire:
    """A transport and its socket, which has `room` for so many bytes."""

    descriptor = -7

    def __init__(self, monkeypatch, room=0, *, copies=False):
        self.room = room
        self.vectors = []
        self.shares = []
        self.held = 0
        monkeypatch.setattr(os, "writev", self.writev, raising=False)
        self.outbox = Outbox(asyncio.get_running_loop(), self, Counters(), lambda _: None,
                             self.descriptor, copies)

    def writev(self, descriptor, vector):
        assert descriptor == self.descriptor
        assert not self.held, "past what the transport holds"
        size = sum(map(len, vector))
        self.vectors.append(size)
        if not self.room:
            raise BlockingIOError
        taken = min(self.room, size)
        self.room -= taken
        return taken

    def write(self, data):
        self.shares.append(len(data))
        self.held += len(data)
        if self.held > HIGH_WATER and not self.outbox.full:
            self.outbox.pause_writing()

    def drain(self, room=0):
        """The client reads what the transport holds, and then has `room` for more."""
        self.held = 0
        self.room = room
        self.outbox.resume_writing()

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return self.held


@needs_writev
def test_a_socket_that_takes_all_gets_more_at_once_up_to_a_bound(monkeypatch):
    async def main():
        wire = Wire(monkeypatch, room=1 << 40)
        for _ in range(8 * LARGEST_WRITE // PIECE):
            wait = wire.outbox.push(bytes(PIECE))
            if wait is not None:
                await wait
        await settle()
        assert wire.vectors[:3] == [WRITE_SIZE, 2 * WRITE_SIZE, 4 * WRITE_SIZE]
        assert set(wire.vectors[3:-1]) == {LARGEST_WRITE}

    run(main)


@needs_writev
def test_once_it_takes_no_more_little_is_gathered_again(monkeypatch):
    async def main():
        wire = Wire(monkeypatch, room=4 * LARGEST_WRITE)
        for most in (LARGEST_WRITE, WRITE_SIZE, WRITE_SIZE):
            wait = None
            while wait is None:
                wait = wire.outbox.push(bytes(PIECE))
            assert wire.outbox.size + wire.held <= most + PIECE
            for _ in range(LARGEST_WRITE // PIECE):
                wire.drain(room=PIECE)

    run(main)


@needs_writev
def test_of_a_long_piece_a_quick_client_gets_ever_larger_shares(monkeypatch):
    async def main():
        now = 1.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        wire = Wire(monkeypatch)
        wire.outbox.push(bytes(12 * LARGEST_SHARE))
        while wire.shares[-1] < LARGEST_SHARE:
            assert len(wire.shares) < 10
            wire.drain()
        assert wire.shares[:3] == [SHARE, 4 * SHARE, 16 * SHARE]
        now += 10 * SHARE_SECONDS
        wire.drain()
        assert wire.shares[-1] == LARGEST_SHARE // 10
        now += 100
        wire.drain()
        assert wire.shares[-1] == SHARE, "a slow one might get much before a throttle acts"

    run(main)


@needs_writev
def test_a_transport_that_copies_gets_no_more_than_it_needs_to_wait(monkeypatch):
    async def main():
        wire = Wire(monkeypatch, copies=True)
        wire.outbox.push(bytes(LARGEST_SHARE))
        for _ in range(10):
            wire.drain()
        assert set(wire.shares) == {HIGH_WATER + LOW_WATER}

    run(main)


def test_what_waits_goes_on_as_soon_as_the_transport_has_room(monkeypatch):
    async def main():
        wire = Wire(monkeypatch)
        while not wire.outbox.full:
            wait = wire.outbox.push(bytes(PIECE))
        assert wire.outbox.size
        wire.drain(room=1 << 40)
        assert not wire.outbox.size
        assert wait.done()

    run(main)


def test_what_follows_the_last_byte_is_not_done_in_the_middle_of_the_transports_work(monkeypatch):
    async def main():
        wire = Wire(monkeypatch)
        emptied = []
        while not wire.outbox.full:
            wire.outbox.push(bytes(PIECE))
        wire.outbox.on_empty = lambda: emptied.append(True)
        wire.drain(room=1 << 40)
        assert not emptied
        await settle()
        assert emptied

    run(main)


@needs_writev
def test_who_has_just_waited_for_the_client_need_not_wait_for_the_loop_too(monkeypatch):
    async def main():
        wire = Wire(monkeypatch, room=3 * UNBROKEN // 4)
        while not wire.outbox.full:
            wire.outbox.push(bytes(PIECE))
        wire.drain(room=1 << 40)
        for _ in range(UNBROKEN // PIECE // 2):
            assert wire.outbox.push(bytes(PIECE)) is None

    run(main)
