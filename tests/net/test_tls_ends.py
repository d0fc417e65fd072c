"""Connections that only wait for a close_notify which nobody has to send."""

import socket
from types import SimpleNamespace

from tremolo.net.tls import end_silent


class Closing:
    """As much of a closing TLS connection as is asked for."""

    is_tls = True
    state = SimpleNamespace(closing=True)
    outbox = SimpleNamespace(size=0)

    def __init__(self, sock):
        self.socket = sock
        self.aborted = False

    def abort(self):
        self.aborted = True


def test_a_connection_whose_socket_is_closed_already_is_ended_without_asking_it():
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    connection = Closing(ours)
    end_silent([connection])
    assert connection.aborted


def test_a_connection_with_bytes_on_their_way_is_left():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        with client, ours:
            ours.setblocking(False)
            try:
                while ours.send(bytes(65536)):
                    pass
            except BlockingIOError:
                pass
            connection = Closing(ours)
            end_silent([connection])
            assert not connection.aborted
