"""Commands and jobs sent to a redis server of this test: at the request that sent them, once,
without their values."""

import asyncio
import shutil
import subprocess
import tempfile
import warnings

import pytest

from tests.insight.test_queries import looking_into, record  # noqa: F401 - a fixture
from tests.support.processes import wait_until

redis = pytest.importorskip("redis")


@pytest.fixture(scope="module")
def server():
    """The socket of a redis server, which listens nowhere else."""
    program = shutil.which("redis-server")
    if program is None:
        warnings.warn("redis is not tested: no redis-server is installed", stacklevel=1)
        pytest.skip("no redis-server is installed")
    folder = tempfile.mkdtemp(prefix="redis-")  # short: a socket's path is limited
    path = f"{folder}/sock"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
         "--dir", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def answers():
        assert process.poll() is None, "redis-server ended"
        try:
            return redis.Redis(unix_socket_path=path).ping()
        except redis.ConnectionError:
            return False

    try:
        wait_until(answers, "an answer of redis-server", 30)
        yield path
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


@pytest.fixture
def insight():
    with looking_into(__file__, 1) as made:
        yield made


def told(record):  # noqa: F811
    return [(call.kind, call.method, call.target, call.status) for call in record.calls]


def test_commands_and_pipelines(record, server):  # noqa: F811
    client = redis.Redis(unix_socket_path=server)
    client.set("cart:7", "hunter2")
    assert client.get("cart:7") == b"hunter2"
    with client.pipeline() as pipeline:
        pipeline.incr("count")
        pipeline.expire("count", 60)
        assert pipeline.execute() == [1, True]
    with pytest.raises(redis.ResponseError):
        client.incr("cart:7")
    client.close()
    assert told(record) == [
        ("redis", "SET", "cart:7", ""), ("redis", "GET", "cart:7", ""),
        ("redis", "PIPELINE", "", ""), ("redis", "INCRBY", "cart:7", "ResponseError")]
    assert {call.place[0] for call in record.calls} == {__file__}


def test_coroutines_and_one_that_is_given_up(record, server):  # noqa: F811
    async def main():
        client = redis.asyncio.Redis(unix_socket_path=server)
        await client.set("a", "1")
        async with client.pipeline() as pipeline:
            await pipeline.incr("a").execute()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.blpop("nothing", 30), 0.05)
        assert await client.get("a") == b"2"
        await client.aclose()

    asyncio.run(main())
    assert told(record) == [
        ("redis", "SET", "a", ""), ("redis", "PIPELINE", "", ""),
        ("redis", "BLPOP", "nothing", "cancelled"), ("redis", "GET", "a", "")]
    assert {call.place[0] for call in record.calls} == {__file__}


def test_a_job_of_arq_is_one_call_whatever_it_sends(record, server):  # noqa: F811
    arq = pytest.importorskip("arq")

    async def main():
        pool = await arq.create_pool(arq.connections.RedisSettings(
            unix_socket_path=server))
        record.calls.clear()
        assert await pool.enqueue_job("bill", 7, _job_id="one") is not None
        assert await pool.enqueue_job("bill", 7, _job_id="one") is None
        await pool.aclose()

    asyncio.run(main())
    assert told(record) == [("task", "ENQUEUE", "bill", "queued"),
                            ("task", "ENQUEUE", "bill", "is there already")]


def test_djangos_cache_in_redis_is_the_caches_call(record, server):  # noqa: F811
    pytest.importorskip("django")
    from django.core.cache import CacheHandler

    cache = CacheHandler({"default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"unix://{server}"}})["default"]
    cache.set("a", 1)
    assert cache.get("a") == 1 and cache.get("b") is None
    cache.close()
    assert told(record) == [("cache", "SET", "a", ""), ("cache", "GET", "a", "hit"),
                            ("cache", "GET", "b", "miss")]


def test_requests_at_once_have_their_own_commands(insight, server):
    from tremolo.insight.record import Record, running

    async def request(client, number):
        mine = Record(number, "GET")
        running.set(mine)
        for _ in range(5):
            await client.get(f"key:{number}")
        return mine

    async def main():
        client = redis.asyncio.Redis(unix_socket_path=server)
        found = await asyncio.gather(*(request(client, number) for number in range(20)))
        await client.aclose()
        return found

    for each in asyncio.run(main()):
        assert [call.target for call in each.calls] == [f"key:{each.id}"] * 5
