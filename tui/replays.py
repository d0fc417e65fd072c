"""Requests that are sent again: by hand, and those that are pinned after each reload.

Knows the session, no widget; how one is sent is `replay`'s business, which is imported with the
first.
"""

import asyncio
from typing import Sequence, Set

from .model.pins import Answer
from .model.requests import Request
from .model.session import Session
from .model.text import clean

SAFE = ("GET", "HEAD")  # methods that may be sent twice (RFC 9110, 9.2.1)


class Replays:
    def __init__(self, session: Session) -> None:
        self.session = session
        self._tasks: Set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        return bool(self._tasks)

    def send(self, requests: Sequence[Request], by_hand: bool) -> None:
        """Send requests, one after the other; what becomes of each is a notice, and an answer of
        its pin. Those that nobody asked for `by_hand` are told of where they changed."""
        task = asyncio.get_running_loop().create_task(self._send_again(requests, by_hand))
        self._tasks.add(task)  # the loop itself keeps tasks only weakly
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request) -> Answer:
        from .replay import as_reported, send

        session = self.session
        return await as_reported(await send(request, session.addresses, session.reload.gen,
                                            ours=not session.recorded), session)

    async def _send_again(self, requests: Sequence[Request], by_hand: bool) -> None:
        session = self.session
        changed = []
        for request in requests:
            answer = await self._answer(request)
            if not by_hand and request.method in SAFE:
                known = session.pins.find(request.key)
                if known is not None and known.slower(answer, session.pins.slower_ms):
                    # The first request of new code pays for what is loaded by it.
                    answer = min(answer, await self._answer(request), key=lambda a: a.ms)
            changes = session.pins.answered(request.key, answer)
            if by_hand:
                bad = bool(answer.error) or answer.status >= 500
                session.notify(f"{shown(request)} → {answer.words()}"
                             + (f"  ({', '.join(changes)})" if changes else ""),
                             "error" if bad else "good")
            elif changes:
                changed.append(f"{shown(request)}: {', '.join(changes)}")
        if not by_hand and changed:
            more = f" (+{len(changed) - 1} more)" if len(changed) > 1 else ""
            session.notify(f"pinned {changed[0]}{more}", "warning", "pins")
        elif not by_hand and any(len(session.pins.answers(request.key)) > 1
                                 for request in requests):
            count = len(requests)
            session.notices.cure("pins")
            session.notify(f"{count} pinned {'answer' if count == 1 else 'answers'} as before",
                           "good")


def shown(request: Request) -> str:
    return clean(request.name, 120)
