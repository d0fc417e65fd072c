"""The WebSocket protocol (RFC 6455) with permessage-deflate (RFC 7692), as pure code.

`parse_upgrade` judges the opening handshake; `WebSocketEngine` turns wire bytes into events
and messages into wire bytes. Knows no socket, loop, clock or log: pings by the clock, limits
a second and the time that a closing handshake may take are the business of whoever owns those.
"""

from .deflate import DeflateConfig, DeflateParameters
from .engine import CLOSED, CLOSING, OPEN, WebSocketEngine
from .events import (
    NEED_DATA,
    Close,
    Event,
    Failed,
    Fragment,
    Message,
    NeedData,
    Ping,
    Pong,
    StateError,
)
from .frames import BINARY, CONTINUATION, TEXT, serialize_frame
from .handshake import HandshakeError, Upgrade, accept_token, parse_upgrade
from .masking import apply_mask
from .origin import origin_is_allowed

__all__ = [
    "BINARY",
    "CLOSED",
    "CLOSING",
    "CONTINUATION",
    "Close",
    "DeflateConfig",
    "DeflateParameters",
    "Event",
    "Failed",
    "Fragment",
    "HandshakeError",
    "Message",
    "NEED_DATA",
    "NeedData",
    "OPEN",
    "Ping",
    "Pong",
    "StateError",
    "TEXT",
    "Upgrade",
    "WebSocketEngine",
    "accept_token",
    "apply_mask",
    "origin_is_allowed",
    "parse_upgrade",
    "serialize_frame",
]
