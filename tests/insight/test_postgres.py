"""Statements sent to a PostgreSQL of this test, by its drivers and by what lies upon them: each
noted once, at the line that asked, with its rows."""

import asyncio
import glob
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import types

import pytest

from tests.insight.test_queries import looking_into, record, statements  # noqa: F401 - a fixture

SERVERS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))


def programs():
    """The folder of PostgreSQL's own programs, None without."""
    found = shutil.which("pg_ctl")
    return os.path.dirname(os.path.realpath(found)) if found else SERVERS[-1] if SERVERS else None


@pytest.fixture(scope="module")
def postgres():
    """The folder of the socket of a PostgreSQL server, which listens nowhere else."""
    folder = programs()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed (initdb and pg_ctl)")
    more = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        more = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    base = tempfile.mkdtemp(prefix="pg-")  # short: a socket's path is limited
    if more:
        os.chown(base, more["user"], more["group"])
    data = os.path.join(base, "data")

    def call(*words):
        subprocess.run(words, check=True, cwd=base, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, **more)

    try:
        call(f"{folder}/initdb", "-D", data, "-U", "shop", "-A", "trust", "-N", "-E", "UTF8",
             "--no-locale")
        call(f"{folder}/pg_ctl", "-D", data, "-w", "-l", f"{base}/log", "-o",
             f"-k {base} -c listen_addresses='' -c fsync=off -c shared_buffers=1MB", "start")
        try:
            yield base
        finally:
            call(f"{folder}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def insight():
    with looking_into(__file__, 2) as made:
        yield made


def rows(record):  # noqa: F811
    return [query.rows for query in record.queries]


def here(record):  # noqa: F811
    return {query.place and query.place[0] for query in record.queries} == {__file__}


def test_psycopg_of_both_kinds(record, postgres):  # noqa: F811
    psycopg = pytest.importorskip("psycopg")
    where = f"host={postgres} user=shop dbname=postgres"
    with psycopg.connect(where) as connection:
        connection.execute("create temporary table t (a int)")
        with connection.cursor() as cursor:
            cursor.executemany("insert into t values (%s)", [(1,), (2,)])
        assert connection.execute("select a from t").fetchall() == [(1,), (2,)]

    async def main():
        async with await psycopg.AsyncConnection.connect(where) as connection:
            found = await connection.execute("select generate_series(1, %s)", (3,))
            assert len(await found.fetchall()) == 3
            with pytest.raises(psycopg.errors.UndefinedTable):
                await connection.execute("select 1 from nowhere")

    asyncio.run(main())
    assert statements(record) == [
        "create temporary table t (a int)", "insert into t values (%s)", "select a from t",
        "select generate_series(…)", "select ? from nowhere"]
    assert rows(record)[1:] == [2, 2, 3, -1]
    assert [query.failed for query in record.queries] == [False] * 4 + [True]
    assert record.ends == ["commit", "commit"]
    assert here(record)


def test_cursors_of_psycopg_on_the_server_are_one_statement_each(
        record, postgres):  # noqa: F811
    psycopg = pytest.importorskip("psycopg")
    where = f"host={postgres} user=shop dbname=postgres"
    with psycopg.connect(where) as connection, connection.cursor("named") as cursor:
        cursor.execute("select generate_series(1, 100)")
        assert len(cursor.fetchmany(10)) == 10 and len(list(cursor)) == 90

    async def main():
        async with await psycopg.AsyncConnection.connect(where) as connection, \
                connection.cursor("named") as cursor:
            await cursor.execute("select generate_series(1, 9)")
            assert len(await cursor.fetchall()) == 9

    asyncio.run(main())
    assert statements(record) == ["select generate_series(…)"] * 2
    assert rows(record) == [-1, -1] and here(record)


def test_blocks_of_psycopg_end_transactions_and_where_there_is_none_nothing_does(
        record, postgres):  # noqa: F811
    psycopg = pytest.importorskip("psycopg")
    where = f"host={postgres} user=shop dbname=postgres"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(
            "create temporary table t (a int unique deferrable initially deferred)")
        assert record.ends == []
        with connection.transaction(), connection.transaction():  # a savepoint
            connection.execute("insert into t values (1)")
        assert record.ends == ["commit"]
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            connection.execute("insert into t values (1)")
        with connection.transaction(force_rollback=True):
            connection.execute("insert into t values (2)")
    assert record.ends == ["commit", "rollback", "rollback"]
    record.ends.clear()

    async def main():
        async with await psycopg.AsyncConnection.connect(where) as connection, \
                connection.transaction():
            await connection.execute("select 1")

    asyncio.run(main())
    assert record.ends == ["commit"]


def test_streams_and_copies_of_psycopg_are_one_statement_each(record, postgres):  # noqa: F811
    psycopg = pytest.importorskip("psycopg")
    where = f"host={postgres} user=shop dbname=postgres"
    with psycopg.connect(where) as connection, connection.cursor() as cursor:
        cursor.execute("create temporary table t (a int)")
        record.queries.clear()
        with cursor.copy("copy t from stdin") as copy:
            for number in range(3):
                copy.write_row((number,))
        found = cursor.stream("select a from t where a < %s", (9,))
        assert [row[0] for row in found] == [0, 1, 2]
        for _ in cursor.stream("select a from t"):
            break
        with cursor.copy("copy t to stdout") as copy:
            assert len(list(copy.rows())) == 3
        with pytest.raises(psycopg.errors.UndefinedTable), cursor.copy("copy x to stdout"):
            pass
    assert statements(record) == ["copy t from stdin", "select a from t where a < %s",
                                  "select a from t", "copy t to stdout", "copy x to stdout"]
    assert rows(record) == [3, 3, 1, 3, -1]
    assert [query.failed for query in record.queries] == [False] * 4 + [True]
    assert all(query.seconds > 0 for query in record.queries) and here(record)


def test_coroutines_that_stream_and_copy_by_psycopg(record, postgres):  # noqa: F811
    psycopg = pytest.importorskip("psycopg")

    async def main():
        async with await psycopg.AsyncConnection.connect(
                f"host={postgres} user=shop dbname=postgres") as connection:
            cursor, other = connection.cursor(), await psycopg.AsyncConnection.connect(
                f"host={postgres} user=shop dbname=postgres")
            async for row in cursor.stream("select generate_series(1, 3)"):
                await other.execute("select 1 + %s", row)  # what is done with it is not its own
            await cursor.execute("create temporary table t (a int)")
            with pytest.raises(ZeroDivisionError):
                async with cursor.copy("copy t from stdin") as copy:
                    await copy.write_row((1,))
                    raise ZeroDivisionError
            await connection.rollback()
            await other.close()

    asyncio.run(main())
    assert statements(record) == [
        *["select ? + %s"] * 3, "select generate_series(…)", "create temporary table t (a int)",
        "copy t from stdin"]
    assert rows(record)[:4] == [1, 1, 1, 3]
    assert record.queries[-1].failed and here(record)


def test_cursors_of_asyncpg(record, postgres):  # noqa: F811
    asyncpg = pytest.importorskip("asyncpg")

    async def main():
        connection = await asyncpg.connect(host=postgres, user="shop", database="postgres")
        async with connection.transaction():
            found = [each[0] async for each in connection.cursor(
                "select generate_series(1, $1)", 120, prefetch=50)]
            assert found == list(range(1, 121))
            cursor = await connection.cursor("select generate_series(1, 3)")
            assert len(await cursor.fetch(2)) == 2
            assert (await cursor.fetchrow())[0] == 3
            assert await cursor.fetchrow() is None
            prepared = await connection.prepare("select 7")
            assert [each[0] async for each in prepared.cursor()] == [7]
        with pytest.raises(asyncpg.NoActiveSQLTransactionError):
            async for _ in connection.cursor("select 8"):
                pass
        await connection.close()

    asyncio.run(main())
    assert statements(record) == ["select generate_series(…)", *["select generate_series(…)"] * 3,
                                  "select ?", "select ?"]
    assert rows(record) == [120, 2, 1, 0, 1, -1]
    assert record.queries[-1].failed and here(record)


def test_the_time_that_one_waits_for_a_pool_of_psycopg(record, postgres):  # noqa: F811
    pools = pytest.importorskip("psycopg_pool")
    with pools.ConnectionPool(f"host={postgres} user=shop dbname=postgres", min_size=1) as pool:
        with pool.connection() as connection:
            connection.execute("select 1")
    assert statements(record) == ["select ?"]
    assert record.wait_seconds > 0


def test_asyncpg_with_its_pool_and_prepared_statements(record, postgres):  # noqa: F811
    asyncpg = pytest.importorskip("asyncpg")

    async def main():
        async with asyncpg.create_pool(host=postgres, user="shop", database="postgres",
                                       min_size=1, max_size=1) as pool:
            record.queries.clear()
            assert await pool.fetchval("select 1") == 1
            async with pool.acquire() as connection:
                assert len(await connection.fetch("select generate_series(1, $1)", 3)) == 3
                prepared = await connection.prepare("select $1::int")
                assert await prepared.fetchval(7) == 7
                async with connection.transaction():
                    async with connection.transaction():  # a savepoint
                        await connection.execute("select 5")
                with pytest.raises(ZeroDivisionError):
                    async with connection.transaction():
                        raise ZeroDivisionError

    asyncio.run(main())
    assert statements(record) == ["select ?", "select generate_series(…)", "select $1::int",
                                  "select ?"]
    assert rows(record)[:3] == [1, 3, 1]
    assert record.ends == ["commit", "rollback"]
    assert here(record)


def test_sqlalchemy_by_psycopg_and_by_asyncpg(record, postgres):  # noqa: F811
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    pytest.importorskip("asyncpg")
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = sqlalchemy.create_engine(f"postgresql+psycopg://shop@/postgres?host={postgres}")
    with engine.connect() as connection:
        record.queries.clear()
        assert len(connection.execute(sqlalchemy.text("select generate_series(1, 2)")).all()) == 2
        connection.commit()
    engine.dispose()

    async def main():
        other = create_async_engine(f"postgresql+asyncpg://shop@/postgres?host={postgres}")
        async with other.connect() as connection:
            await connection.execute(sqlalchemy.text("select generate_series(1, 3)"))
            rows = await connection.stream(sqlalchemy.text("select generate_series(1, 200)"))
            assert len(await rows.all()) == 200
        await other.dispose()

    asyncio.run(main())
    assert statements(record) == ["select generate_series(…)"] * 3
    assert record.ends == ["commit", "rollback"]
    assert here(record)


def test_peewee_by_psycopg(record, postgres):  # noqa: F811
    peewee = pytest.importorskip("peewee")
    pytest.importorskip("psycopg")
    database = peewee.PostgresqlDatabase(
        "postgres", host=postgres, user="shop", **(
            {"prefer_psycopg3": True} if getattr(peewee, "psycopg2", None) else {}))

    class Item(peewee.Model):
        name = peewee.TextField()

        class Meta:
            temporary = True

    database.bind([Item])
    with database.connection_context():
        Item.create_table()
        record.queries.clear()
        with database.atomic():
            Item.insert_many([{"name": "a"}, {"name": "b"}]).execute()
        assert [item.name for item in Item.select().order_by(Item.name)] == ["a", "b"]
        with pytest.raises(peewee.ProgrammingError):
            database.execute_sql("select 1 from nowhere")
    insert, select, wrong = record.queries
    assert "INSERT INTO" in insert.statement and insert.rows == 2
    assert select.statement.startswith("SELECT") and (select.rows, select.failed) == (2, False)
    assert wrong.failed
    assert record.ends == ["commit"]
    assert here(record)


def test_tortoise_by_asyncpg(record, postgres, monkeypatch):  # noqa: F811
    tortoise = pytest.importorskip("tortoise")
    pytest.importorskip("asyncpg")

    from tortoise import fields, models

    class Item(models.Model):
        id = fields.IntField(primary_key=True)

    module = types.ModuleType("tortoise_models_of_postgres")
    module.Item = Item
    monkeypatch.setitem(sys.modules, module.__name__, module)

    async def main():
        credentials = {"host": postgres, "user": "shop", "database": "postgres", "port": 5432,
                       "password": None}
        await tortoise.Tortoise.init(config={
            "connections": {"default": {"engine": "tortoise.backends.asyncpg",
                                        "credentials": credentials}},
            "apps": {"models": {"models": [module.__name__]}}})
        connection = tortoise.connections.get("default")
        record.queries.clear()
        count, found = await connection.execute_query("select generate_series(1, 4)")
        assert count == len(found) == 4
        await tortoise.connections.close_all()

    asyncio.run(main())
    assert statements(record) == ["select generate_series(…)"]
    assert rows(record) == [4]
