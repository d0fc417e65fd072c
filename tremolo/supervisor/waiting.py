"""To wait for what others wait for as well."""

import asyncio
from typing import TypeVar

Result = TypeVar("Result")


async def undisturbed(future: "asyncio.Future[Result]") -> Result:
    """What `future` gives or raises. Whoever gives up waiting does not end it, and is not told
    how it went on: `asyncio.shield` reports that as an error since Python 3.14."""
    await asyncio.wait([future])
    return future.result()
