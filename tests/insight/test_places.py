"""Where in the project a statement comes from: whatever lies in between, each time."""

import asyncio
import contextvars
import json
import logging
import os
import subprocess
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


#: Django as both kinds of servers call it; each view answers with the lines of its own that are
#: to be told
PROJECT = '''
import asyncio
import functools
import sys

import library
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, models
from django.http import JsonResponse
from django.urls import path


class Item(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "shop"


def line():
    return sys._getframe(1).f_lineno


def named(item):
    return list(Item.objects.filter(name=item))


async def each(request):
    told = []
    await Item.objects.acount(); told += [line()]
    await Item.objects.order_by("id").afirst(); told += [line()]
    async for item in Item.objects.all(): told += [line()]
    await sync_to_async(library.count)(Item); told += [line()]
    await sync_to_async(named)("x"); told += [named.__code__.co_firstlineno + 1]
    await sync_to_async(library.count, thread_sensitive=False)(Item); told += [line()]
    told += await of_function()
    return JsonResponse(told, safe=False)


async def of_function():
    await Item.objects.acount(); return [line()]


async def many(request):
    for number in range(3):
        await Item.objects.filter(id=number).aexists(); told = line()
    return JsonResponse([told] * 3, safe=False)


async def together(request):
    await asyncio.gather(*(Item.objects.acount() for _ in range(3))); told = line()
    told = [told] * 3
    await asyncio.wait_for(Item.objects.acount(), 9); told += [line()]
    await asyncio.shield(Item.objects.acount()); told += [line()]
    await asyncio.wait([asyncio.ensure_future(Item.objects.acount())]); told += [line()]
    if sys.version_info >= (3, 11):
        async with asyncio.TaskGroup() as group:
            group.create_task(Item.objects.acount()); told += [line() - 1]
    return JsonResponse(told, safe=False)


async def again(request):
    """A library's function in a thread that has a loop run a coroutine, and so on."""
    await sync_to_async(library.nested)(Item); told = [line()]
    await sync_to_async(asking)(); told += [asking.__code__.co_firstlineno + 1]
    await library.gathered(Item); told += [line()] * 2
    return JsonResponse(told, safe=False)


def asking():
    async_to_sync(library.acount)(Item)


async def apart(request):
    """By tasks that nobody waits for, and in contexts of somebody else's: no place is known."""
    await library.in_other_context(Item)
    task = asyncio.ensure_future(Item.objects.acount())
    task.add_done_callback([].append)
    task.add_done_callback(functools.partial(lambda *_: None))
    while not task.done():
        await asyncio.sleep(0.001)
    return JsonResponse([None, None], safe=False)


def plain(request):
    named("x")
    async_to_sync(library.acount)(Item)
    return JsonResponse([named.__code__.co_firstlineno + 1, line() - 1], safe=False)


def middleware(get_response):
    def answer(request):
        return get_response(request)
    return answer


middleware.async_capable = False
urlpatterns = [path(view.__name__, view)
               for view in (each, many, together, again, apart, plain)]
'''

LIBRARY_OF_DJANGO = '''
import asyncio
import contextvars
from asgiref.sync import async_to_sync, sync_to_async

def count(model):
    return model.objects.count()

async def acount(model):
    return await model.objects.acount()

def nested(model):
    return async_to_sync(acount)(model)

async def gathered(model):
    return await asyncio.gather(acount(model), acount(model))

async def in_other_context(model):
    await sync_to_async(count, context=contextvars.copy_context())(model)
'''

DRIVER = '''
import asyncio
import json
import logging
import sys

import django
from django.conf import settings

way, middleware = sys.argv[1], sys.argv[2:]
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "items"}},
    ROOT_URLCONF="project", SECRET_KEY="test", ALLOWED_HOSTS=["*"], MIDDLEWARE=middleware,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()

import project
from asgiref import sync
from django.db import connection
from django.test import AsyncClient, Client

from tremolo.insight.insight import Insight
from tremolo.insight.record import Record, running
from tremolo.insight.sources.asgiref import handed

with connection.schema_editor() as editor:
    editor.create_model(project.Item)
project.Item.objects.create(name="x")
insight = Insight(logging.getLogger("tests"), is_project=lambda path: path.endswith("project.py"))


async def asgi(view):
    record = Record(1, "GET")
    running.set(record)
    told = json.loads((await AsyncClient().get("/" + view)).content)
    assert handed.get() is None
    return record, told


def wsgi(view):
    record = Record(1, "GET")
    token = running.set(record)
    told = json.loads(Client().get("/" + view).content)
    running.reset(token)
    assert handed.get() is None
    return record, told


before = [dict(vars(kind)) for kind in (sync.SyncToAsync, sync.AsyncToSync)]
found = {}
for turn in range(2):  # what is undone is done again
    insight.watch(1)
    for pattern in project.urlpatterns:
        view = pattern.pattern._route
        record, told = asyncio.run(asgi(view)) if way == "asgi" else wsgi(view)
        places = [query.place and query.place[1] for query in record.queries
                  if query.statement.startswith("SELECT")]
        found.setdefault(view, []).append([places, told])
    insight.watch(0)
    assert before == [dict(vars(kind)) for kind in (sync.SyncToAsync, sync.AsyncToSync)]
    assert not insight.places._bounds
print(json.dumps(found))
'''


@pytest.mark.parametrize("middleware", [[], ["project.middleware"]])
@pytest.mark.parametrize("way", ["asgi", "wsgi"])
def test_statements_of_djangos_asynchronous_orm_have_the_place_that_awaits_them(
        tmp_path, way, middleware):
    """Whatever waits in the thread that sends them meanwhile."""
    pytest.importorskip("django")
    for name, text in (("project", PROJECT), ("library", LIBRARY_OF_DJANGO),
                       ("driver", DRIVER)):
        (tmp_path / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "driver.py", way, *middleware], cwd=tmp_path, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True,
        check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"each", "many", "together", "again", "apart", "plain"}
    for view, turns in found.items():
        for places, told in turns:
            assert places == told and told, view


def test_who_calls_asgiref_gets_the_same_watched_as_alone():
    sync = pytest.importorskip("asgiref.sync")

    def fail():
        raise LookupError("broken")

    def about():
        called = sync.sync_to_async(fail)
        yield [asyncio.iscoroutinefunction(each) for each in (called, type(called).__call__)]
        for call in (called, sync.sync_to_async(sync.async_to_sync(called))):
            with pytest.raises(LookupError, match="broken"):
                asyncio.run(call())
        # One that is closed in another context than it began in.
        begun = sync.sync_to_async(len)("")
        loop = asyncio.new_event_loop()

        async def begin():
            contextvars.copy_context().run(begun.send, None)

        loop.run_until_complete(begin())
        yield begun.close()
        yield [value for variable, value in contextvars.copy_context().items()
               if variable.name == "tremolo_handed" and value is not None]
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    alone = list(about())
    insight = Insight(logging.getLogger("tests"), is_project=lambda path: path == __file__)
    insight.watch(1)
    token = running.set(Record(1, "GET"))
    assert list(about()) == alone == [[True, True], None, []]
    running.reset(token)
    insight.watch(0)
