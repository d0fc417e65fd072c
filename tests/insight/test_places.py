"""Where in the project a statement comes from: whatever lies in between, each time."""

import logging
import sys
import threading

import pytest

from tremolo.insight.insight import Insight
from tremolo.insight.places import MAX_REMEMBERED, Places
from tremolo.insight.record import Record, running

LIBRARY = """
def execute(places):
    return places.here(1)

def through(function, *arguments):
    return function(*arguments)
"""


@pytest.fixture
def library():
    found = {}
    exec(compile(LIBRARY, "/lib/library.py", "exec"), found)
    return found


@pytest.fixture
def places():
    return Places(lambda path: path == __file__)


def line():
    return sys._getframe(1).f_lineno


@pytest.mark.parametrize("away", [0, 1, 8, 300])
def test_each_line_that_sends_the_same_statement_is_named(places, library, away):
    through, call = library["through"], [library["through"]] * away + [
        library["execute"], places]
    for _ in range(2):
        first, second = through(*call), line()
        assert first == (__file__, second)
        assert through(*call) == (__file__, line())


@pytest.mark.parametrize("place", range(12))
def test_a_function_of_the_project_in_the_place_of_one_of_the_library_is_found(
        places, library, place):
    """As deep, from the same line, by another way."""
    way = [library["through"]] * 12

    def ours(function, *arguments):
        return function(*arguments)

    found = []
    for each in (way, [*way[:place], ours, *way[place + 1:]], way):
        found.append(each[0](*each[1:], library["execute"], places))
    assert found == [(__file__, line() - 1), (__file__, line() - 5), (__file__, line() - 1)]


def test_lines_of_one_function_and_functions_of_one_line_are_told_apart(places, library):
    execute = library["execute"]
    several = [lambda: execute(places), lambda: execute(
        places)]
    first = line() - 2
    for _ in range(2):
        assert [each() for each in several] == [(__file__, first), (__file__, first)]
        assert [execute(places), execute(places)] == [(__file__, line())] * 2
        found = (execute(places),
                 execute(places))
        assert found == ((__file__, line() - 2), (__file__, line() - 1))


def test_a_shallow_stack_after_a_deep_one_is_searched_as_well(places, library):
    execute, through = library["execute"], library["through"]
    through(*[through] * 50, execute, places)
    found = []

    def shallow():
        found.append(execute(places))

    thread = threading.Thread(target=shallow)
    thread.start()
    thread.join()
    assert found == [(__file__, line() - 5)]


def test_what_no_project_sent_has_no_place(library):
    places = Places(lambda path: False)
    assert [library["execute"](places) for _ in range(2)] == [None, None]


def test_of_code_without_end_only_so_much_is_remembered(places, library):
    for number in range(MAX_REMEMBERED + 10):
        made = {"execute": library["execute"], "places": places}
        exec(compile("\n" * number + "found = execute(places)", __file__, "exec"), made)
        assert made["found"] == (__file__, number + 1)
    assert len(places._known) == 10


@pytest.fixture
def shop():
    """An engine with a table, its record, and what it asks for by listeners and types."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    insight = Insight(logging.getLogger("tests"), is_project=lambda path: path == __file__)
    insight.watch(1)
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("create table item (name text)"))
        connection.commit()
    token = running.set(Record(1, "GET"))
    yield engine, running.get()
    running.reset(token)
    insight.watch(0)


def places_of(record):
    return [query.place[1] for query in record.queries if query.statement.startswith("select")]


def test_statements_of_listeners_have_the_place_of_the_listener(shop):
    """The same statement, by the same line, and by a listener that the other one has."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy import orm

    engine, record = shop
    adding, names = map(sqlalchemy.text, (
        "insert into item (name) values ('x')", "select name from item"))
    wanted = []

    def listening(state):
        if state.statement is adding:
            state.session.connection().execute(names)
            wanted.append(line() - 1)

    with orm.Session(engine) as session:
        for turn in range(3):
            if turn == 1:
                sqlalchemy.event.listen(session, "do_orm_execute", listening)
            for statement in (adding, names):
                session.execute(statement)
            wanted.append(line() - 1)
    assert places_of(record) == wanted and len(wanted) == 5


def test_statements_of_a_session_of_the_project_amid_the_library_have_its_place(shop):
    """As deep as one of the library's own, by the same line, and the same statement."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy import orm

    engine, record = shop
    names = sqlalchemy.text("select name from item")

    class Ours(orm.Session):
        def execute(self, statement, params=None, **named):
            return self._execute_internal(statement, params, **named)

    ours = line() - 2
    for kind in (orm.Session, Ours, orm.Session):
        session = orm.scoped_session(orm.sessionmaker(engine, class_=kind))
        session.execute(names)
        session.remove()
    assert places_of(record) == [line() - 2, ours, line() - 2]


def test_statements_of_types_have_their_place(shop):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine, record = shop
    wanted = []

    class Looked(sqlalchemy.TypeDecorator):
        impl, cache_ok = sqlalchemy.Text, True

        def process_bind_param(self, value, dialect):
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("select 1"))
                wanted.append(line() - 1)
            return value

    looked = sqlalchemy.text("select :v").bindparams(sqlalchemy.bindparam("v", "x", Looked()))
    with engine.connect() as connection:
        for _ in range(2):
            for statement in (sqlalchemy.text("select 1"), looked):
                connection.execute(statement)
                wanted.append(line() - 1)
    assert places_of(record) == wanted and len(wanted) == 6


def test_what_is_not_looked_at_around_a_statement_is_sqlalchemys_alone(shop):
    """`WITHIN` so many private calls a connection comes to its dialect, whatever it executes."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy import orm

    from tremolo.insight.sources.sqlalchemy import METHODS, WITHIN

    class Base(orm.DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "thing"
        id = orm.mapped_column(sqlalchemy.Integer, primary_key=True)

    engine, _ = shop
    ways = []

    def seen(name):
        plain = getattr(engine.dialect, name)

        def executing(*arguments, **named):
            frame, way = sys._getframe(), [name]
            for _ in range(WITHIN):
                frame = frame.f_back
                way.append((frame.f_code.co_filename, frame.f_code.co_name))
            ways.append(way)
            return plain(*arguments, **named)
        return executing

    for name in METHODS:
        setattr(engine.dialect, name, seen(name))
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Thing() for _ in range(3)])
        session.add_all([Thing(id=number) for number in (10, 11)])
        session.flush()
        session.execute(sqlalchemy.insert(Thing), [{"id": 20}, {"id": 21}])
        session.scalars(sqlalchemy.insert(Thing).returning(Thing.id), [{"id": 30}]).all()
        session.connection().exec_driver_sql("select 1")
        session.connection().execution_options(no_parameters=True).exec_driver_sql("select 2")
    assert {name for name, *_ in ways} == set(METHODS)
    for _, *frames in ways:
        for file, name in frames:
            assert "sqlalchemy" in file and name.startswith("_")


def test_a_stack_that_is_not_so_deep_has_its_place(places):
    found = {}
    threading.Thread(target=lambda: found.update(place=places.here(50))).run()
    assert found["place"][0] == __file__
    made = Places(lambda path: False)
    assert made.here(1000) is None


def test_statements_of_many_threads_are_all_noted():
    """Lists are made when they are first asked for, which several may do at once."""
    for _ in range(50):
        record, begin = Record(1, "GET"), threading.Barrier(4)

        def add(record=record, begin=begin):
            begin.wait(10)
            for _ in range(200):
                record.add_query("select 1", None, 0.0, 0.5, -1, False, None)

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (record.query_count, record.query_seconds) == (800, 400.0)
