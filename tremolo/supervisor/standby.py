"""One worker that was forked before it is needed.

Knows the zygote that it was forked from; the spawner decides which one the next worker needs.
"""

import asyncio
from typing import Optional

from .zygote_link import SpawnedProcess, ZygoteLink


class Standby:
    """Has one stand by for what it was last asked to `follow`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wanted: Optional[ZygoteLink] = None
        self._worker: Optional[SpawnedProcess] = None
        self._forked_from: Optional[ZygoteLink] = None
        self._forking: Optional[asyncio.Task[None]] = None

    @property
    def pid(self) -> Optional[int]:
        return self._worker.pid if self._worker is not None else None

    def follow(self, link: Optional[ZygoteLink]) -> None:
        """Have a worker stand by that `link` forked, as far as that is what the next one needs;
        None for no worker. To be called whenever the link or its state is another."""
        self._wanted = link = link if link is not None and link.is_current else None
        if self._worker is not None and self._forked_from is not link:
            self._worker.control.close()  # it ends by itself
            self._worker = None
        if self._worker is None and self._forking is None and link is not None:
            self._forking = self._loop.create_task(self._fork(link))

    async def _fork(self, link: ZygoteLink) -> None:
        try:
            self._worker = await link.fork(standby=True)
        except OSError:
            return  # the next fork finds out, and reports, what is wrong
        finally:
            self._forking = None
        self._forked_from = link
        self.follow(self._wanted)

    def take(self) -> Optional[SpawnedProcess]:
        """The worker that stands by, if it lives."""
        worker, self._worker = self._worker, None
        if worker is not None and worker.exited.done():
            worker.control.close()
            return None
        return worker

    def close(self) -> None:
        self.follow(None)
        if self._forking is not None:
            self._forking.cancel()
