"""Masking of payloads (RFC 6455 section 5.3): every byte that a client sends goes through here.

Python needs 56 us for 64 KiB at best, which is half of what echoing it costs; a compiled loop
needs 1. Where the package `websockets` is installed with its compiled part, `apply_mask` is the
function in there, as the event loop is uvloop where that is installed.
"""

import sys
from importlib.machinery import ExtensionFileLoader, PathFinder
from importlib.util import module_from_spec
from typing import Callable, List, Optional, Union

# Up to this many bytes one XOR of big integers is the fastest way, above it four strided
# translations (64 KiB: 90 us, and 56; PyPy's integers are slower).
_XOR_LIMIT = 256 if sys.implementation.name == "cpython" else 128

_FIRSTS, _SECONDS, _THIRDS, _FOURTHS = (slice(start, None, 4) for start in range(4))

_from_bytes = int.from_bytes


def _mask_tables() -> List[bytes]:
    """256 tables for bytes.translate: table k maps each byte to itself XOR k."""
    identity = _from_bytes(bytes(range(256)), "little")
    return [
        (identity ^ _from_bytes(bytes((key,)) * 256, "little")).to_bytes(256, "little")
        for key in range(256)
    ]


_TABLES = _mask_tables()


def mask_in_python(payload: bytes, mask: bytes) -> Union[bytes, bytearray]:
    """`apply_mask` where nothing compiled is installed."""
    length = len(payload)
    if length <= _XOR_LIMIT:
        key = _from_bytes((mask * ((length + 3) >> 2))[:length], "little")
        return (_from_bytes(payload, "little") ^ key).to_bytes(length, "little")
    # In place: a bytearray's slices are translated a fifth faster than those of bytes.
    masked = bytearray(payload)
    first, second, third, fourth = mask
    masked[_FIRSTS] = masked[_FIRSTS].translate(_TABLES[first])
    masked[_SECONDS] = masked[_SECONDS].translate(_TABLES[second])
    masked[_THIRDS] = masked[_THIRDS].translate(_TABLES[third])
    masked[_FOURTHS] = masked[_FOURTHS].translate(_TABLES[fourth])
    return masked


def compiled_mask() -> Optional[Callable[[bytes, bytes], bytes]]:
    """The function of `websockets`, if it is there and does what it should.

    Its module is loaded by itself: to import the package would run any `websockets.py` that
    lies beside the application.
    """
    try:
        package = PathFinder.find_spec("websockets")
        places = package and package.submodule_search_locations
        spec = PathFinder.find_spec("websockets.speedups", places) if places else None
        if spec is None or not isinstance(spec.loader, ExtensionFileLoader):
            return None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        function: Callable[[bytes, bytes], bytes] = module.apply_mask
        payload = bytes(range(131))
        if function(payload, b"\x80\x55\xaa\x01") == mask_in_python(payload, b"\x80\x55\xaa\x01"):
            return function
    except (AttributeError, ImportError, TypeError, ValueError):
        pass
    return None


#: Mask or unmask the bytes `payload` with the four bytes of `mask`: its own inverse. The result
#: is a new object of the same length, perhaps a bytearray when it is long.
apply_mask: Callable[[bytes, bytes], Union[bytes, bytearray]] = compiled_mask() or mask_in_python
