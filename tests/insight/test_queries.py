"""Statements of databases and calls of other services: at the request that made them, once."""

import asyncio
import contextlib
import gc
import sqlite3
import sys
import threading
import types
import urllib.error
import urllib.request
import weakref

import pytest

from tremolo.insight.calls import Calling
from tremolo.insight.events import MANY, event_of
from tremolo.insight.insight import MAX_KEPT, MAX_UNTOLD, Insight
from tremolo.insight.places import Places
from tremolo.insight.record import MAX_QUERIES, Record, running
from tremolo.insight.source import Source
from tremolo.insight.statements import (
    Observing,
    blocked,
    covered,
    first_and_second,
    normalised,
    row_count,
    shown_parameters,
)
from tremolo.telemetry.codec import MAX_LINE, encode
from tremolo.telemetry.secrets import MASK


def test_each_request_has_its_statements_with_the_repeated_one_named(driven):
    for n, row in driven.rows_of("many"):
        assert row["queries"] == 6, row
        event = driven.insight_of(row["id"])
        assert event["query_count"] == len(event["queries"]) == 6
        [repeated] = event["repeated"]
        assert repeated["count"] == 5
        statement = event["statements"][repeated["sql"]].replace("%s", "?")
        assert statement == f"select ? + ? as request_{n}"
        path, _, line = event["places"][repeated["place"]].rpartition(":")
        with open(path) as file:
            place = file.read().split("\n")[int(line) - 1]
        # The innermost line of the project: where it does not ask a library, its own function.
        assert "+ 0 as request_" in place or "connection.exec_driver_sql(text, row)" in place


def test_each_request_has_its_calls_without_their_secrets(driven):
    for n, row in driven.rows_of("out"):
        assert row["calls"] == 1, row
        [call] = driven.insight_of(row["id"])["calls"]
        assert (call["method"], call["status"]) == ("GET", "200")
        assert f"/answer/{n}?" in call["target"] and "secret" not in call["target"]


def test_no_other_request_has_any(driven):
    theirs = {row["id"] for kind in ("many", "out") for _, row in driven.rows_of(kind)}
    assert {event["request"] for event in driven.find("insight")
            if event["query_count"] or event["call_count"]} == theirs  # others may be slow
    for kind in ("ok", "later", "below"):
        for _, row in driven.rows_of(kind):
            assert "queries" not in row and "calls" not in row


class Log:
    def warning(self, *line, exc_info=None):
        raise AssertionError(line[0] % line[1:])


@contextlib.contextmanager
def looking_into(file, level=2):
    """What looks into requests at that level, where `file` is all of the project."""
    made = Insight(Log(), is_project=lambda path: path == file)
    made.watch(level)
    yield made
    made.hold_mail(False)
    made.watch(0)


@pytest.fixture
def insight():
    with looking_into(__file__) as made:
        yield made


@pytest.fixture
def record(insight):
    """The record of a request that runs, looked into."""
    made = Record(1, "GET")
    token = running.set(made)
    yield made
    running.reset(token)


def statements(record):
    return [normalised(query.statement) for query in record.queries]


def test_sqlite3_statements_of_connections_and_cursors_are_noted_once(record):
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table t (a)")
        cursor = connection.cursor()
        cursor.executemany("insert into t values (?)", [(1,), (2,)])
        connection.executescript("delete from t; select 1")
        assert isinstance(connection, sqlite3.Connection)
        assert isinstance(cursor, sqlite3.Cursor)
        assert type(connection).__name__ == "Connection"
    connection.close()
    assert statements(record) == [
        "create table t (a)", "insert into t values (?)", "delete from t; select ?"]
    assert record.queries[1].rows == 2
    assert all(query.place[0] == __file__ for query in record.queries)


def test_sqlite3_is_as_it_was_when_nobody_watches():
    connect = sqlite3.connect
    insight = Insight(Log())
    insight.watch(1)
    assert sqlite3.connect is not connect
    with sqlite3.connect(":memory:") as connection:
        insight.watch(0)
        assert sqlite3.connect is connect is sqlite3.dbapi2.connect
        assert connection.execute("select 1").fetchone() == (1,)
    connection.close()


def test_connections_that_live_on_are_noted_again_when_somebody_watches_again(record, insight):
    with sqlite3.connect(":memory:") as connection:
        insight.watch(0)
        connection.cursor().execute("select 1")
        insight.watch(1)
        connection.cursor().execute("select 'again'")
    connection.close()
    assert [query.statement for query in record.queries] == ["select 'again'"]


def test_factories_of_the_application_stay_what_they_are(record):
    class Own(sqlite3.Connection):
        pass

    class Rows(sqlite3.Cursor):
        pass

    connection = sqlite3.connect(":memory:", factory=Own)
    assert isinstance(connection, Own)
    assert isinstance(connection.cursor(Rows), Rows)
    connection.cursor(Rows).execute("select 1")
    connection.close()
    assert statements(record) == ["select ?"]


def test_a_statement_that_fails_is_noted_and_its_error_is_the_applications(record):
    with sqlite3.connect(":memory:") as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("select from nothing")
    connection.close()
    assert [query.failed for query in record.queries] == [True]


def test_ends_of_transactions_are_those_that_there_were(record):
    connection = sqlite3.connect(":memory:")
    connection.commit()  # of nothing
    connection.executescript("pragma foreign_keys = on; create table a (id integer primary key);"
                             "create table b (a references a (id) deferrable initially deferred)")
    with connection:
        connection.execute("insert into a values (1)")
    with pytest.raises(sqlite3.IntegrityError), connection:
        connection.execute("insert into b values (7)")
    assert record.ends == ["commit", "rollback"]  # what cannot be committed is taken back
    connection.rollback()  # of nothing
    connection.execute("delete from a")
    connection.rollback()
    with pytest.raises(KeyError), connection:
        connection.execute("insert into a values (2)")
        raise KeyError
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.commit()
    assert record.ends == ["commit", "rollback", "rollback", "rollback"]


def test_rows_that_are_given_back_later_are_not_known_to_be_none(record):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    if sqlite3.sqlite_version_info < (3, 35):
        pytest.skip("sqlite has no returning")
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    with engine.connect() as connection:
        for text in ("create table t (a)", "insert into t values (1) returning a",
                     "update t set a = 2 where a = 3"):
            connection.execute(sqlalchemy.text(text))
    engine.dispose()
    assert [query.rows for query in record.queries] == [-1, -1, 0]


def test_what_asks_whether_a_connection_still_works_is_no_statement(record, tmp_path):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a'}", pool_pre_ping=True)
    for _ in range(3):
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("select 1"))
    engine.dispose()
    assert statements(record) == ["select ?"] * 3
    assert record.ends == ["commit"] * 3


def test_sqlalchemy_statements_are_not_noted_again_by_their_driver(record):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table t (a)"))
        connection.execute(sqlalchemy.text("insert into t values (:a)"), [{"a": 1}, {"a": 2}])
        assert connection.execute(sqlalchemy.text("select count(*) from t")).scalar() == 2
        with pytest.raises(sqlalchemy.exc.OperationalError):
            connection.execute(sqlalchemy.text("select from nothing"))
    engine.dispose()
    assert statements(record) == ["create table t (a)", "insert into t values (?)",
                                  "select count(*) from t", "select from nothing"]
    assert [query.failed for query in record.queries] == [False, False, False, True]
    assert "commit" in record.ends
    assert all(query.place[0] == __file__ for query in record.queries)


def test_asynchronous_sqlalchemy_is_noted_in_the_task_that_asked(record):
    pytest.importorskip("aiosqlite")
    pytest.importorskip("greenlet")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy.ext.asyncio import create_async_engine

    async def main():
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            await connection.execute(sqlalchemy.text("select 1"))
        await engine.dispose()

    asyncio.run(main())
    assert statements(record) == ["select ?"]
    assert record.queries[0].place[0] == __file__


def test_statements_and_parameters_may_be_given_by_name(record):
    class Library:
        rowcount = 2

        def execute(self, query, params=None, *, more=None):
            return query, params, more

        def executemany(self, sql, param_list=()):
            return sql, param_list

        def do_execute(self, cursor, statement, parameters, context=None):
            return statement, parameters, context

        def do_execute_no_params(self, cursor, statement, context=None):
            return statement, context

    source, library = Source("library", None, Insight(None)), Library()
    source.observer.detail = 2
    for name, at in (("execute", 1), ("executemany", 1), ("do_execute", 2)):
        Observing(source).method(Library, name, row_count, at=at)
    Observing(source).method(Library, "do_execute_no_params", row_count, at=2,
                             has_parameters=False)
    assert library.execute(query="a") == ("a", None, None)
    assert library.execute("b", more=1) == ("b", None, 1)
    assert library.execute("c", params=(3,)) == ("c", (3,), None)
    assert library.executemany(param_list=[(4,)], sql="d") == ("d", [(4,)])
    assert library.do_execute(library, "e", (5,), None) == ("e", (5,), None)
    assert library.do_execute_no_params(library, "f", library) == ("f", library)
    assert library.do_execute(cursor=library, statement="g", parameters={}) == ("g", {}, None)
    for wrong in (library.execute, library.do_execute):
        with pytest.raises(TypeError, match="missing"):
            wrong()
    assert [(query.statement, query.parameters, query.rows) for query in record.queries] == [
        ("a", None, 2), ("b", None, 2), ("c", (3,), 2), ("d", [(4,)], 2), ("e", (5,), 2),
        ("f", None, 2), ("g", {}, -1), ("", None, -1), ("", None, -1)]
    assert all(query.place[0] == __file__ for query in record.queries)


def test_a_statement_is_what_it_is_given_as_whatever_its_truth_is():
    class Composed:
        def __bool__(self):
            raise TypeError("of no truth")

    statement = Composed()
    for arguments, named in (((statement,), {}), ((), {"query": statement}),
                             ((statement, 1), {}), ((statement,), {"params": 1})):
        assert first_and_second(None, arguments, named)[0] is statement
    assert first_and_second(None, (None,), {}) == (None, None)  # which is none
    assert first_and_second(None, (), {}) == ("", None)


def test_statements_that_run_at_the_same_time_are_noted_once_each(record, tmp_path):
    pytest.importorskip("aiosqlite")
    pytest.importorskip("greenlet")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy.ext.asyncio import create_async_engine

    async def main():
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'a'}")

        async def ask(number):
            async with engine.connect() as connection:
                for _ in range(5):
                    await connection.execute(sqlalchemy.text(f"select {number} as at_once"))
                await connection.rollback()

        def ask_in_thread(number):
            with plain.connect() as connection:
                for _ in range(5):
                    connection.execute(sqlalchemy.text(f"select {number} as in_threads"))
                connection.rollback()

        plain = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a'}")
        await asyncio.gather(*map(ask, range(4)),
                             *(asyncio.to_thread(ask_in_thread, number) for number in range(4)))
        await engine.dispose()
        plain.dispose()

    asyncio.run(main())
    assert sorted(statements(record)) == ["select ? as at_once"] * 20 + [
        "select ? as in_threads"] * 20
    assert record.ends.count("rollback") >= 8 and not blocked


def test_aiosqlite_is_noted_once_and_not_by_its_thread(record):
    aiosqlite = pytest.importorskip("aiosqlite")

    async def main():
        async with aiosqlite.connect(":memory:") as connection:
            await connection.execute("create table t (a)")
            async with connection.execute("select 1") as cursor:
                assert await cursor.fetchone() == (1,)
            assert len(list(await connection.execute_fetchall("select 2"))) == 1
            await connection.commit()
            await connection.execute("insert into t values (1)")
            await connection.commit()
            record.queries.pop()

    asyncio.run(main())
    assert record.ends == ["commit"]
    assert statements(record) == ["create table t (a)", "select ?", "select ?"]
    assert record.queries[0].place[0] == __file__


def test_peewee_is_noted_once(record):
    peewee = pytest.importorskip("peewee")
    database = peewee.SqliteDatabase(":memory:")

    class Item(peewee.Model):
        name = peewee.TextField()

        class Meta:
            pass

    Item._meta.set_database(database)
    database.create_tables([Item])
    record.queries.clear()
    Item.create(name="a")
    assert [item.name for item in Item.select()] == ["a"]
    database.close()
    assert [text.split()[0] for text in statements(record)] == ["INSERT", "SELECT"]


def test_tortoise_is_noted_once(record, monkeypatch):
    tortoise = pytest.importorskip("tortoise")
    pytest.importorskip("aiosqlite")

    from tortoise import fields, models

    class Item(models.Model):
        id = fields.IntField(primary_key=True)

    module = types.ModuleType("tortoise_models_of_a_test")
    module.Item = Item
    monkeypatch.setitem(sys.modules, module.__name__, module)

    async def main():
        await tortoise.Tortoise.init(db_url="sqlite://:memory:",
                                     modules={"models": [module.__name__]})
        connection = tortoise.connections.get("default")
        await connection.execute_query("select 1")
        await tortoise.connections.close_all()

    asyncio.run(main())
    assert statements(record)[-1] == "select ?"


class FakeDriver:
    """What psycopg's and asyncpg's classes look like to their sources."""

    rowcount = 3

    def execute(self, query, params=None):
        return self

    def executemany(self, query, params):
        return self


class FakeAsync:
    rowcount = 4

    async def execute(self, query, params=None):
        return self

    executemany = execute


def test_psycopg_cursors_of_both_kinds_are_noted(record, insight, monkeypatch):
    from tremolo.insight.sources import psycopg

    monkeypatch.setitem(sys.modules, "psycopg", types.SimpleNamespace(
        Cursor=type("Cursor", (FakeDriver,), {}), AsyncCursor=type("A", (FakeAsync,), {}),
        Connection=FakeDriver, AsyncConnection=FakeAsync, ServerCursor=FakeDriver,
        AsyncServerCursor=FakeAsync, Transaction=FakeDriver, AsyncTransaction=FakeAsync))
    source = Source("psycopg", Log(), insight)
    psycopg.attach(source)
    sys.modules["psycopg"].Cursor().execute("select %s", (1,))
    asyncio.run(sys.modules["psycopg"].AsyncCursor().execute("select %s", (2,)))
    source.detach()
    assert [(query.rows, query.parameters) for query in record.queries] == [(3, (1,)), (4, (2,))]


@pytest.mark.parametrize(("statement", "text"), [
    ("SELECT  *\n FROM t -- why\n WHERE a = 'it''s' AND b=5",
     "SELECT * FROM t WHERE a = ? AND b=?"),
    ("select * from t where id in (?, ?, ?)", "select * from t where id in (…)"),
    ("insert into t values (1, 'a'), (2, 'b')", "insert into t values (…), …"),
    ("select $1, t1.c2 from t1", "select $1, t1.c2 from t1"),
    ("/* hi */ select 1.5e3", "select ?"),
    ("insert into t values ('cut off without an en", "insert into t values (?"),
    ("select $$cut off", "select ?"),
    (r"select E'it\'s', 'b'", "select ?, ?"),
    ("select " + "'" * 4001, "select ?"),
    ('SAVEPOINT "s1405_x1"', "SAVEPOINT …"),
    ("release savepoint sa_savepoint_2;", "release savepoint …"),
    ("ROLLBACK TO s3", "ROLLBACK TO …"),
    ("select savepoint from t", "select savepoint from t"),
])
def test_statements_are_normalised_until_no_value_is_left(statement, text):
    assert normalised(statement) == text


def test_parameters_of_statements_about_secrets_are_masked():
    assert shown_parameters("select * from t where a = ?", (1, "x")) == "(1, 'x')"
    assert shown_parameters("update users set password = ?", ("x",)) == MASK


def test_what_is_cut_is_counted():
    record = Record(1, "GET")
    for number in range(MAX_QUERIES + 100):
        record.add_query(f"select {number} as c{number}", None, 0.0, 0.001, -1, False, None)
    event = event_of(record, parameters=False)
    assert event["query_count"] == MAX_QUERIES + 100
    assert len(event["queries"]) < MAX_QUERIES
    assert len(record.queries) == MAX_QUERIES


def test_of_statements_that_are_not_kept_only_number_and_time_are_noted(record, insight):
    class Counting(Places):
        asked = 0

        def here(self, depth=2):
            self.asked += 1
            return super().here(depth + 1)

    insight.places = Counting(insight.is_project)
    connection = sqlite3.connect(":memory:")
    for _ in range(MAX_QUERIES + 5):
        connection.execute("select 1")
    assert (record.query_count, len(record.queries)) == (MAX_QUERIES + 5, MAX_QUERIES)
    assert insight.places.asked == MAX_QUERIES
    assert record.query_seconds > sum(query.seconds for query in record.queries)


def test_an_event_fits_a_line_whatever_is_in_it():
    record = Record(1, "GET")
    for number in range(MAX_QUERIES):
        statement = f"select {chr(0x1f4a9) * 250}_{number}_x"
        record.add_query(statement, ("é" * 400,), 0.0, 0.001, -1, False, (f"{number}.py", 1))
    event = event_of(record, parameters=True)
    assert 0 < len(event["queries"]) < event["query_count"]
    assert len(encode({"v": 1, "kind": "insight", **event})) < MAX_LINE


def test_parameters_are_let_go_once_they_have_been_told():
    class Value:
        pass

    value = Value()
    there = weakref.ref(value)
    record = Record(1, "GET")
    record.add_query("select ?", (value,), 0.0, 0.001, -1, False, None)
    event = event_of(record, parameters=True)
    del value
    gc.collect()
    assert there() is None
    assert event_of(record, parameters=True) == event
    assert "Value" in event["queries"][0][6]


def test_parameters_that_nobody_wants_to_see_are_not_kept(record, insight):
    insight.watch(1)
    with sqlite3.connect(":memory:") as connection:
        connection.execute("select ?", (1,))
    connection.close()
    assert [query.parameters for query in record.queries] == [None]


def test_what_threads_of_one_request_do_at_the_same_time_is_counted_whole():
    record = Record(1, "GET")

    def work():
        for _ in range(2000):
            record.add_query("select 1", None, 0.0, 0.5, -1, False, None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert (record.query_count, record.query_seconds) == (8000, 4000.0)


def test_what_exchanges_that_ended_keep_is_bounded_in_all():
    insight = Insight(Log())
    for number in range(3 * MAX_KEPT // MAX_QUERIES):
        record = insight._records[number] = Record(number, "GET")
        for _ in range(MAX_QUERIES):
            record.add_query("select 1", None, 0.0, 0.001, -1, False, None)
        insight.row(number, 200, True, 100.0)
    kept = [record() for _, record in insight._ended]
    insight.tick(102.0)
    assert sum(record.weight for record in kept) <= MAX_KEPT
    assert kept[0].closed and not kept[-1].closed


def test_of_too_many_requests_at_once_the_newest_are_told():
    insight, told = Insight(Log()), []
    insight.on_facts = lambda event: told.append(event["request"])
    for number in range(MAX_UNTOLD + 10):
        record = insight._records[number] = Record(number, "GET")
        record.add_query("select 1", None, 0.0, 0.001, -1, False, None)
        insight.row(number, 200, True, 100.0)
    while insight._untold:
        insight.tick(101.0)
    assert told == list(range(10, MAX_UNTOLD + 10))


def test_a_library_whose_answer_is_not_as_expected_harms_no_call(record, insight):
    class Client:
        def send(self, request):
            return "no response"

    class Cursor:
        rowcount = property(lambda self: 1 / 0)

        def execute(self, statement):
            return self

    logger = types.SimpleNamespace(warning=lambda *line, exc_info=None: None)
    source = Source("odd", logger, insight)
    Calling(source, "http", lambda *_: ("GET", "http://a/"),
            lambda response: response.status_code).observe(Client, "send")
    assert Client().send(None) == "no response"
    assert source.failed
    source = Source("odd", logger, insight)
    Observing(source).method(Cursor, "execute", row_count)
    assert isinstance(Cursor().execute("select 1"), Cursor)
    assert source.failed and not covered.get()


def test_a_few_equal_statements_are_no_repetition():
    record = Record(1, "GET")
    for _ in range(MANY - 1):
        record.add_query("select 1", None, 0.0, 0.001, -1, False, ("views.py", 31))
    assert event_of(record, parameters=False)["repeated"] == []
    record.add_query("select 2", None, 0.0, 0.001, -1, False, ("views.py", 31))
    event = event_of(record, parameters=False)
    assert event["repeated"][0]["count"] == MANY
    assert event["places"] == ["views.py:31"]


def test_an_empty_statement_that_nobody_of_the_project_sent_is_counted_as_others_are():
    record = Record(1, "GET")
    for _ in range(MANY):
        record.add_query("", None, 0.0, 0.001, -1, False, None)
    assert event_of(record, parameters=False)["repeated"] == [
        {"count": MANY, "sql": 0, "place": -1, "ms": 5.0}]


def test_a_call_that_is_redirected_is_one(record, answering):
    with urllib.request.urlopen(f"{answering}/redirect") as answer:
        assert answer.read() == b"ok"
    assert [(call.target, call.status) for call in record.calls] == [
        (f"{answering}/redirect", "200")]


def test_urllib_is_noted_with_its_status(record, answering):
    with urllib.request.urlopen(f"{answering}/a?api_key=1") as answer:
        assert answer.read() == b"ok"
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{answering}/missing")
    raised.value.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen("http://127.0.0.1:9/")
    call, missing, refused = record.calls
    assert (call.method, call.status) == ("GET", "200")
    assert (missing.status, refused.status) == ("404", "URLError")
    assert call.place[0] == missing.place[0] == __file__


def test_httpx_of_both_kinds_is_noted(record, answering):
    httpx = pytest.importorskip("httpx")
    assert httpx.get(f"{answering}/a", trust_env=False).status_code == 200

    async def main():
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"{answering}/b")
            with pytest.raises(httpx.ConnectError):
                await client.get("http://127.0.0.1:9/c")

    asyncio.run(main())
    assert [(call.target.rpartition("/")[2], call.status) for call in record.calls] == [
        ("a", "200"), ("b", "200"), ("c", "ConnectError")]


def test_requests_is_noted_through_urllib3(record, answering):
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"{answering}/a?page=2").status_code == 200
    [call] = record.calls
    assert (call.method, call.target, call.status) == ("GET", f"{answering}/a?page=2", "200")


def test_aiohttp_is_noted(record, answering):
    aiohttp = pytest.importorskip("aiohttp")

    async def main():
        async with aiohttp.ClientSession() as session, session.get(f"{answering}/a") as answer:
            assert answer.status == 200

    asyncio.run(main())
    assert [(call.target, call.status) for call in record.calls] == [(f"{answering}/a", "200")]
