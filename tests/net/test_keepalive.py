"""When a silent WebSocket is pinged and given up: instants and byte counts alone."""

from tremolo.net.keepalive import GIVE_UP, PING_INTERVAL, PING_TIMEOUT, SEND_PING, WAIT, Keepalive


def test_silence_is_pinged():
    assert Keepalive().look(100.0, 5) == (SEND_PING, 100.0 + PING_TIMEOUT)


def test_a_ping_without_an_answer_is_given_up_after_its_timeout():
    pings = Keepalive()
    pings.look(100.0, 5)
    assert pings.look(101.0, 5) == (WAIT, 100.0 + PING_TIMEOUT)
    assert pings.look(100.0 + PING_TIMEOUT, 5)[0] == GIVE_UP


def test_any_bytes_are_a_sign_of_life():
    pings = Keepalive()
    pings.look(100.0, 5)
    assert pings.look(110.0, 6) == (WAIT, 100.0 + PING_INTERVAL)
    assert pings.look(100.0 + PING_INTERVAL, 6)[0] == SEND_PING


def test_an_interval_shorter_than_the_timeout_is_kept():
    pings = Keepalive()
    pings.interval = 2.0
    assert pings.look(100.0, 5) == (SEND_PING, 102.0)
    assert pings.look(102.0, 6) == (SEND_PING, 104.0)


def test_silence_of_our_own_making_gives_nobody_up():
    pings = Keepalive()
    pings.look(100.0, 5)
    assert pings.suspend(120.0) == 120.0 + PING_INTERVAL
    assert pings.look(140.0, 5)[0] == SEND_PING
