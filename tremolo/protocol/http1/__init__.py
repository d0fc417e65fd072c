"""HTTP/1.0 and HTTP/1.1 of a server: `RequestParser` and `ResponseWriter`, without any I/O."""

from .errors import ExcessBody, ProtocolError, ResponseError, ShortBody, Truncated
from .fields import Field, Limits
from .head import HeaderCache, RequestHead
from .parser import END, NEED_DATA, Event, RequestParser, Signal
from .writer import ResponseWriter, check_head, raw_head, refusal

__all__ = [
    "END",
    "NEED_DATA",
    "Event",
    "ExcessBody",
    "Field",
    "HeaderCache",
    "Limits",
    "ProtocolError",
    "RequestHead",
    "RequestParser",
    "ResponseError",
    "ResponseWriter",
    "ShortBody",
    "Signal",
    "Truncated",
    "check_head",
    "raw_head",
    "refusal",
]
