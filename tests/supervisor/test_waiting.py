"""Waiting for what others wait for as well."""

import asyncio

import pytest

from tremolo.supervisor.waiting import undisturbed


def test_it_gives_or_raises_what_is_waited_for():
    async def main():
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(3)]
        waiting = [asyncio.ensure_future(undisturbed(future)) for future in futures]
        await asyncio.sleep(0)
        futures[0].set_result(1)
        futures[1].set_exception(ValueError("no"))
        futures[2].cancel()
        assert await waiting[0] == await undisturbed(futures[0]) == 1
        with pytest.raises(ValueError, match="no"):
            await waiting[1]
        with pytest.raises(asyncio.CancelledError):
            await waiting[2]

    asyncio.run(main())


def test_who_gives_up_ends_nothing_and_is_told_nothing():
    told = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context))
        future = loop.create_future()
        future.add_done_callback(lambda future: future.exception())
        waiting = [asyncio.ensure_future(undisturbed(future)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        assert not future.done() and not waiting[1].done()
        future.set_exception(ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            await waiting[1]

    asyncio.run(main())
    assert told == []
