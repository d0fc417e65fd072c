"""The states of a connection and of a response, and what leads from one to another.

Pure: two tables and the names in them. A connection is in exactly one state; its deadline, what
displays say of it and what the next bytes mean follow from that state.

    IDLE ── HEAD ── EXCHANGE ── FLUSHING ── DISCARDING ── IDLE …    a request after the other
                       └── UPGRADED                                 or something else's turn
    any of them ── CLOSING ── LINGERING ── CLOSED                   and the end

To edit the table: a row is a state, with the state after each event that may happen in it. An
event that is in no row of the present state is a bug of ours and raises `KeyError`, so add the
transition only together with the code that makes it sensible. CLOSE, LINGER and LOST lead to the
end and never back. A new state also needs its entry in the table of `deadlines`.
`tests/net/test_states.py` walks the tables.

Code asks by identity, `connection.state is IDLE`, and moves by `state.after[EVENT]`: neither
costs a call.
"""

from typing import Dict, Tuple


class State:
    """One state of a connection: the states `after` each event, `word` for displays."""

    __slots__ = ("after", "closing", "name", "word")

    def __init__(self, name: str, word: str, closing: bool = False) -> None:
        self.name = name
        self.word = word
        #: no further request will be taken up
        self.closing = closing
        self.after: Dict[str, State] = {}

    def __repr__(self) -> str:
        return self.name


#: nothing of the next request has come
IDLE = State("IDLE", "idle")
#: a part of a head has come
HEAD = State("HEAD", "reading")
#: a request is being answered
EXCHANGE = State("EXCHANGE", "handling")
#: the response is whole, but not all of it has been handed to the transport
FLUSHING = State("FLUSHING", "sending")
#: the response is handed over; what the application left of the request's body is read
DISCARDING = State("DISCARDING", "reading")
#: something else owns the connection: a WebSocket
UPGRADED = State("UPGRADED", "websocket")
#: what is queued is still sent, what comes is not looked at
CLOSING = State("CLOSING", "draining", closing=True)
#: everything was sent, our side is shut; what comes is read for a moment (RFC 9112 section 9.6)
LINGERING = State("LINGERING", "draining", closing=True)
#: the transport is gone
CLOSED = State("CLOSED", "draining", closing=True)

STATES: Tuple[State, ...] = (IDLE, HEAD, EXCHANGE, FLUSHING, DISCARDING, UPGRADED, CLOSING,
                             LINGERING, CLOSED)

#: the first bytes of a head came
HEAD_BEGUN = "HEAD_BEGUN"
#: a head is whole
REQUEST = "REQUEST"
#: the response is whole and waits for the transport
FLUSH = "FLUSH"
#: the response is handed over, the request's body is not read
DISCARD = "DISCARD"
#: both are done, and the connection persists
NEXT = "NEXT"
#: 101 was answered
UPGRADE = "UPGRADE"
#: the end was decided, by whomever
CLOSE = "CLOSE"
#: what was queued is sent, and so is our FIN
LINGER = "LINGER"
#: the transport says that the connection is over
LOST = "LOST"

_TO_THE_END = {CLOSE: CLOSING, LOST: CLOSED}

IDLE.after = {HEAD_BEGUN: HEAD, REQUEST: EXCHANGE, **_TO_THE_END}
HEAD.after = {HEAD_BEGUN: HEAD, REQUEST: EXCHANGE, **_TO_THE_END}
EXCHANGE.after = {FLUSH: FLUSHING, DISCARD: DISCARDING, NEXT: IDLE, UPGRADE: UPGRADED,
                  **_TO_THE_END}
FLUSHING.after = {DISCARD: DISCARDING, NEXT: IDLE, **_TO_THE_END}
DISCARDING.after = {NEXT: IDLE, **_TO_THE_END}
UPGRADED.after = {**_TO_THE_END}
CLOSING.after = {CLOSE: CLOSING, LINGER: LINGERING, LOST: CLOSED}
LINGERING.after = {CLOSE: CLOSING, LOST: CLOSED}
CLOSED.after = {CLOSE: CLOSED, LOST: CLOSED}


class Progress:
    """How far a response is.

    `started`: the application has given its head. `finished`: nothing can be added to it.
    `abandoned`: it will not be completed, and what is still written is dropped.
    """

    __slots__ = ("abandoned", "after", "finished", "name", "started")

    def __init__(self, name: str, *, started: bool = True, finished: bool = False,
                 abandoned: bool = False) -> None:
        self.name = name
        self.started = started
        self.finished = finished
        self.abandoned = abandoned
        self.after: Dict[str, Progress] = {}

    def __repr__(self) -> str:
        return self.name


#: no response was started
WAITING = Progress("WAITING", started=False)
#: its head was given and is kept back, to join the first piece of the body
HEADED = Progress("HEADED")
#: its head is on the way
SENDING = Progress("SENDING")
#: it is whole, though perhaps not all of it has been handed over
WHOLE = Progress("WHOLE", finished=True)
#: given up under way
ABANDONED = Progress("ABANDONED", finished=True, abandoned=True)
#: given up before it was started; an application that does not know it may still start one
UNANSWERED = Progress("UNANSWERED", started=False, finished=True, abandoned=True)

PROGRESS: Tuple[Progress, ...] = (WAITING, HEADED, SENDING, WHOLE, ABANDONED, UNANSWERED)

START = "START"
#: the head that was kept back is not sent: it cannot be, or another is answered in its place
RETRACT = "RETRACT"
SEND_HEAD = "SEND_HEAD"
COMPLETE = "COMPLETE"
ABANDON = "ABANDON"

WAITING.after = {START: HEADED, RETRACT: WAITING, COMPLETE: WHOLE, ABANDON: UNANSWERED}
HEADED.after = {RETRACT: WAITING, SEND_HEAD: SENDING, ABANDON: ABANDONED}
SENDING.after = {COMPLETE: WHOLE, ABANDON: ABANDONED}
WHOLE.after = {ABANDON: ABANDONED}
ABANDONED.after = {ABANDON: ABANDONED}
UNANSWERED.after = {START: UNANSWERED, COMPLETE: UNANSWERED, ABANDON: UNANSWERED}
