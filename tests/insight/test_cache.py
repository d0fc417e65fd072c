"""What a request asks of Django's caches: at that request, with what was there, no values."""

import asyncio

import pytest

from tests.insight.test_queries import Log, looking_into, record  # noqa: F401 - a fixture
from tremolo.insight.insight import Insight
from tremolo.telemetry.secrets import MASK

pytest.importorskip("django")

from django.core.cache import CacheHandler
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache


class Counting(LocMemCache):
    """As applications make their own."""

    def get(self, key, default=None, version=None):
        return super().get(key, default, version)


@pytest.fixture
def insight():
    with looking_into(__file__, 1) as made:
        yield made


@pytest.fixture
def cache(record):  # noqa: F811
    made = LocMemCache("tests", {})
    made.clear()
    record.calls.clear()
    return made


def told(record):  # noqa: F811
    return [(call.kind, call.method, call.target, call.status) for call in record.calls]


def test_hits_and_misses_are_told_apart_also_where_a_value_equals_the_default(cache, record):  # noqa: F811
    assert cache.get("count", 0) == 0
    cache.set("count", 0)
    assert cache.get("count", 0) == 0
    cache.set("none", None)
    assert cache.get("none") is None
    assert cache.get("other") is None
    assert cache.get("other", default="x") == "x"
    assert told(record) == [
        ("cache", "GET", "count", "miss"), ("cache", "SET", "count", ""),
        ("cache", "GET", "count", "hit"), ("cache", "SET", "none", ""),
        ("cache", "GET", "none", "hit"), ("cache", "GET", "other", "miss"),
        ("cache", "GET", "other", "miss")]
    assert all(call.place[0] == __file__ for call in record.calls)


def test_what_a_cache_does_in_its_turn_is_part_of_one_call(cache, record):  # noqa: F811
    cache.set_many({"a": 1, "b": 2})
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
    assert "a" in cache
    assert cache.incr("a") == 2
    assert cache.delete("c") is False
    assert told(record) == [
        ("cache", "SET_MANY", "a, b", ""), ("cache", "GET_MANY", "a, b, c", "2 found"),
        ("cache", "HAS_KEY", "a", "hit"), ("cache", "INCR", "a", ""),
        ("cache", "DELETE", "c", "miss")]


def test_a_default_that_is_computed_is_got_and_added(cache, record):  # noqa: F811
    assert cache.get_or_set("total", lambda: 7) == 7
    assert told(record)[:2] == [("cache", "GET", "total", "miss"),
                                ("cache", "ADD", "total", "added")]


def test_coroutines_are_noted_once_where_they_are_awaited(cache, record):  # noqa: F811
    async def main():
        await cache.aset("a", 1)
        assert await cache.aget("a") == 1
        assert await cache.aget("b", 5) == 5

    asyncio.run(main())
    assert told(record) == [("cache", "SET", "a", ""), ("cache", "GET", "a", "hit"),
                            ("cache", "GET", "b", "miss")]
    assert all(call.place[0] == __file__ for call in record.calls)


def test_the_keys_of_sessions_are_not_shown(cache, record):  # noqa: F811
    cache.get("django.contrib.sessions.cacheabcdef0123")
    assert told(record) == [("cache", "GET", "django.contrib.sessions." + MASK, "miss")]


def test_an_error_of_a_backend_is_the_applications(cache, record):  # noqa: F811
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nothing")
    assert told(record) == [("cache", "INCR", "nothing", "ValueError")]


def test_a_get_that_is_given_up_is_cancelled(insight, record):  # noqa: F811
    class Slow(LocMemCache):
        async def aget(self, key, default=None, version=None):
            await asyncio.get_running_loop().create_future()

    insight.watch(0)
    insight.watch(1)  # with the class that is there by now

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(Slow("slow", {}).aget("a", default=3), 0.001)

    asyncio.run(main())
    assert told(record) == [("cache", "GET", "a", "cancelled")]


def test_keys_that_come_only_once_are_left_to_the_cache(cache, record):  # noqa: F811
    cache.set("a", 1)
    assert cache.get_many(key for key in ("a", "b")) == {"a": 1}


def test_a_key_by_keyword_is_got_and_told_as_ever(cache, record):  # noqa: F811
    cache.set("a", 1)
    assert cache.get(key="a", version=1) == 1
    assert cache.get(key="b", default=2) == 2
    assert cache.get(key="c") is None
    assert told(record)[1:] == [("cache", "GET", "a", "hit"), ("cache", "GET", "b", "miss"),
                                ("cache", "GET", "c", "miss")]


def test_a_cache_of_the_applications_own_class_is_observed_as_one(cache, record):  # noqa: F811
    handler = CacheHandler({"default": {"BACKEND": f"{__name__}.Counting", "LOCATION": "own"}})
    assert handler["default"].get("a", 3) == 3
    assert told(record) == [("cache", "GET", "a", "miss")]


def test_caches_are_as_they_were_when_nobody_watches():
    def methods():
        return (vars(LocMemCache)["get"], vars(DummyCache)["set"],
                CacheHandler.create_connection)

    before = methods()
    insight = Insight(Log())
    insight.watch(1)
    assert not any(now is then for now, then in zip(methods(), before))
    insight.watch(0)
    assert methods() == before
