"""To wait for what others wait for as well."""

import asyncio
from typing import Any, TypeVar

Result = TypeVar("Result")


async def undisturbed(future: "asyncio.Future[Result]") -> Result:
    """What `future` gives or raises. Whoever gives up waiting does not end it, and is not told
    how it went on: `asyncio.shield` reports that as an error since Python 3.14."""
    await asyncio.wait([future])
    return future.result()


def finish(future: "asyncio.Future[None]") -> None:
    """Whoever waits goes on; nothing when that is so already."""
    if not future.done():
        future.set_result(None)


def retrieve(future: "asyncio.Future[Any]") -> None:
    """For a future that has come to its end: who needs its failure waits for it, and nobody else
    is warned of that."""
    if not future.cancelled():
        future.exception()
