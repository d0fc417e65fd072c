"""The reliable duplex: messages and descriptors over a socketpair."""

import asyncio
import os
import socket
import threading

from tremolo.telemetry.channel import MAX_PENDING, Channel


def run(main):
    return asyncio.run(asyncio.wait_for(main(), 10))


class End:
    """One end, with what it heard."""

    def __init__(self, sock):
        self.heard, self.closed = [], []
        self.changed = asyncio.Event()
        self.channel = Channel(sock, asyncio.get_running_loop(), self._message, self._close)

    def _message(self, message, fds):
        self.heard.append((message, fds))
        self.changed.set()

    def _close(self, reason):
        self.closed.append(reason)
        self.changed.set()

    async def until(self, condition):
        while not condition():
            self.changed.clear()
            await self.changed.wait()


def test_messages_and_descriptors_arrive_together_and_in_order():
    async def main():
        ours, theirs = socket.socketpair()
        a, b = End(ours), End(theirs)
        for number in range(200):
            read_end, write_end = os.pipe()
            os.write(write_end, b"%d" % number)
            fds = (read_end,) if number % 3 == 0 else ()
            a.channel.send({"v": 1, "kind": "x", "n": number, "text": "y" * 5000}, fds)
            os.close(read_end)
            os.close(write_end)
        await b.until(lambda: len(b.heard) == 200)
        for number, (message, fds) in enumerate(b.heard):
            assert message["n"] == number
            assert len(fds) == (number % 3 == 0)
            for fd in fds:
                assert os.read(fd, 10) == b"%d" % number
                assert not os.get_inheritable(fd)
                os.close(fd)
        a.channel.close()
        await b.until(lambda: b.closed)
        assert b.closed == [""]

    run(main)


def test_threads_may_send():
    async def main():
        ours, theirs = socket.socketpair()
        a, b = End(ours), End(theirs)

        def send(name):
            for number in range(300):
                a.channel.send({"v": 1, "kind": name, "n": number, "text": "z" * 2000})

        threads = [threading.Thread(target=send, args=(name,)) for name in "pqr"]
        for thread in threads:
            thread.start()
        await b.until(lambda: len(b.heard) == 900)
        for thread in threads:
            thread.join()
        for name in "pqr":
            assert [m["n"] for m, _ in b.heard if m["kind"] == name] == list(range(300))
        a.channel.close()
        b.channel.close()

    run(main)


def test_a_peer_that_does_not_read_is_given_up_at_a_bounded_size():
    async def main():
        ours, theirs = socket.socketpair()
        a = End(ours)
        most = 0
        while not a.closed:
            a.channel.send({"v": 1, "kind": "x", "text": "y" * 60_000})
            most = max(most, a.channel.pending)
        assert most <= MAX_PENDING + 65536
        assert a.closed == ["the peer does not read"]
        theirs.close()

    run(main)


def test_missing_descriptors_and_broken_lines_end_the_channel():
    async def main():
        for data in (b'{"v":1,"kind":"x","fds":1}\n', b"nonsense\n", b'{"v":1,"kind":"x",'
                     b'"fds":-1}\n'):
            ours, theirs = socket.socketpair()
            a = End(ours)
            theirs.sendall(data)
            await a.until(lambda a=a: a.closed)
            assert a.closed[0]
            assert not a.heard
            theirs.close()

    run(main)
