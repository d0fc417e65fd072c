"""What is left of the insight when nobody watches: nothing."""

import asyncio
import importlib.util
import os
import sqlite3
import sys
import types
from importlib.machinery import ModuleSpec

import pytest

import tremolo.insight
from tests.support.serving import run, serving
from tremolo.insight.arrivals import Arrivals
from tremolo.insight.events import event_of
from tremolo.insight.insight import Insight
from tremolo.insight.record import Record, running
from tremolo.insight.source import Source
from tremolo.telemetry.builders import insight_event
from tremolo.telemetry.codec import encode


class Log:
    def __init__(self):
        self.lines = []

    def warning(self, *line, exc_info=None):
        self.lines.append(line[0] % line[1:])


class Library:
    def function(self, value):
        return value * 2


def doubled(note):
    def make(function):
        def observed(self, value):
            result = function(self, value)
            source.note(note, result)
            return result
        return observed

    source = Source("library", Log(), None)
    source.replace(Library, "function", make)
    return source


@pytest.fixture
def record():
    token = running.set(Record(1, "GET"))
    yield
    running.reset(token)


def test_a_detached_source_gives_back_what_it_replaced():
    before = vars(Library)["function"]
    source = doubled(lambda *_: None)
    assert vars(Library)["function"] is not before
    source.detach()
    assert vars(Library)["function"] is before


def test_a_failing_source_is_logged_once_and_leaves_the_result_alone(record):
    source = doubled(lambda *_: 1 / 0)
    assert [Library().function(4) for _ in range(3)] == [8, 8, 8]
    source.detach()
    assert source._logger.lines == [
        "insight: the source library failed and is switched off: ZeroDivisionError: "
        "division by zero"]


def test_outside_of_a_request_nothing_is_noted():
    noted = []
    source = doubled(lambda *seen: noted.append(seen))
    Library().function(4)
    source.detach()
    assert noted == []


def test_what_another_has_wrapped_since_stays_and_passes_calls_on(record):
    noted = []
    source = doubled(lambda *seen: noted.append(seen))
    ours = Library.function
    Library.function = lambda self, value: ours(self, value) + 1
    source.detach()
    assert Library().function(4) == 9
    assert noted == []
    Library.function = ours.__wrapped__


def test_a_library_is_taken_up_when_the_application_imports_it(tmp_path, monkeypatch):
    (tmp_path / "brand_new_library.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = []
    arrivals = Arrivals(["brand_new_library", "json"],
                        lambda name: seen.append((name, sys.modules[name])))
    before = list(sys.meta_path)
    arrivals.start()
    assert [name for name, _ in seen] == ["json"]
    import brand_new_library

    assert [name for name, _ in seen] == ["json", "brand_new_library"]
    assert brand_new_library.VALUE == 1
    assert "exec_module" not in vars(brand_new_library.__loader__)
    arrivals.stop()
    assert sys.meta_path == before
    del sys.modules["brand_new_library"]


def test_a_library_that_comes_whole_is_taken_up_when_its_package_is_imported(monkeypatch):
    class Giver:
        """As of modules that were imported ahead: all of them are there at once."""

        def find_spec(self, name, path=None, target=None):
            return ModuleSpec(name, self, is_package=True) if name == "given_whole" else None

        def create_module(self, spec):
            return None

        def exec_module(self, module):
            part = types.ModuleType("given_whole.part")
            monkeypatch.setitem(sys.modules, part.__name__, part)

    seen = []
    monkeypatch.setattr(sys, "meta_path", [Giver(), *sys.meta_path])
    arrivals = Arrivals(["given_whole.part"], seen.append)
    arrivals.start()
    __import__("given_whole")
    arrivals.stop()
    del sys.modules["given_whole"]
    assert seen == ["given_whole.part"]


def test_a_library_whose_import_outlasts_the_last_viewer_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "slow_library.py").write_text("import sys\nsys.modules['json'].LEAVE()\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = []
    arrivals = Arrivals(["slow_library"], seen.append)
    monkeypatch.setattr(sys.modules["json"], "LEAVE", arrivals.stop, raising=False)
    arrivals.start()
    import slow_library  # noqa: F401

    del sys.modules["slow_library"]
    assert seen == []


def test_a_library_that_was_found_and_not_loaded_is_given_back(tmp_path, monkeypatch):
    (tmp_path / "found_library.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    arrivals = Arrivals(["found_library"], [].append)
    arrivals.start()
    loader = importlib.util.find_spec("found_library").loader
    assert "exec_module" in vars(loader)
    arrivals.stop()
    assert "exec_module" not in vars(loader)


def test_a_library_is_never_imported_by_us(monkeypatch):
    seen = []
    arrivals = Arrivals(["this_is_imported_by_nobody"], seen.append)
    arrivals.start()
    arrivals.look()
    arrivals.stop()
    assert seen == []
    assert "this_is_imported_by_nobody" not in sys.modules


def test_the_server_is_as_it_was_after_the_last_viewer_left():
    named = []

    async def handle(exchange):
        named.append(running.get())
        exchange.response.respond(200, [], b"")

    async def main():
        async with serving(handle) as site:
            insight = Insight(Log())
            insight.serve(site.server)
            await site.get()
            insight.watch(1)
            await site.get()
            insight.watch(0)
            assert site.server.look is None
            await site.get()
            return insight

    run(main)
    assert [record is not None for record in named] == [False, True, False]
    assert named[1].id == 2


def test_each_task_and_thread_of_a_request_knows_which_it_is():
    async def handle(exchange):
        own = running.get()
        found = [await asyncio.to_thread(running.get),
                 await asyncio.get_running_loop().create_task(task())]
        assert [each is own for each in found] == [True, True]
        exchange.response.respond(200, [], b"%d" % own.id)

    async def task():
        await asyncio.sleep(0)
        return running.get()

    async def main():
        async with serving(handle) as site:
            insight = Insight(Log())
            insight.serve(site.server)
            insight.watch(1)
            answers = await asyncio.gather(*(site.get() for _ in range(20)))
            assert sorted(int(answer.body) for answer in answers) == list(range(1, 21))
            insight.watch(0)

    run(main)


def test_records_of_exchanges_that_nobody_asks_for_are_bounded():
    from tremolo.insight.insight import MAX_RECORDS

    insight = Insight(Log())
    for number in range(MAX_RECORDS + 100):
        insight._records[number] = object()
    insight.tick(0.0)
    assert len(insight._records) == MAX_RECORDS
    assert 0 not in insight._records


def calls_of_ours(work):
    """How many calls of functions of the insight there are while `work()` runs."""
    own, count = os.path.dirname(tremolo.insight.__file__) + os.sep, [0]

    def called(frame, event, argument):
        count[0] += event == "call" and frame.f_code.co_filename.startswith(own)

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count[0]


def test_a_query_costs_a_few_calls_watched_and_none_unwatched(record):
    insight = Insight(Log(), is_project=lambda path: path == __file__)

    def queries():
        for number in range(10):
            connection.execute("select ?", (number,))

    connection = sqlite3.connect(":memory:")
    assert calls_of_ours(queries) == 0
    connection.close()
    insight.watch(1)
    connection = sqlite3.connect(":memory:")
    queries()
    watched = calls_of_ours(queries)
    insight.watch(0)
    # A connection that was made meanwhile still names the class of its cursors.
    # (Before Python 3.11 sqlite3 itself calls that for each statement.)
    assert calls_of_ours(queries) <= 10 < watched <= (40 if sys.version_info >= (3, 11) else 50)
    connection.close()


def test_telling_makes_no_call_for_each_statement_and_looks_at_nothing_that_is_not_there():
    def with_statements(count):
        record = Record(1, "GET")
        for number in range(count):
            record.add_query("select ?", None, record.began + number / 1000, 0.0001, 1, False,
                             (__file__, 1))
        return record

    made = []
    few, many = with_statements(10), with_statements(100)
    event_of(with_statements(1), False)  # the text of a statement is remembered
    calls = [calls_of_ours(lambda record=record: made.append(event_of(record, False)))
             for record in (few, many)]
    assert calls[0] == calls[1] <= 20
    for name in ("calls", "ends", "stacks"):  # are made when they are asked for
        with pytest.raises(AttributeError):
            object.__getattribute__(few, name)
    few_bytes, many_bytes = (len(encode(insight_event(1, 1, event))) for event in made)
    assert few_bytes < 700
    assert many_bytes - few_bytes < 90 * 35


def instructions(work):
    """How many of the insight's instructions of Python are executed while `work()` runs, and how
    many in all."""
    ours = os.path.dirname(tremolo.insight.__file__) + os.sep
    counts = [0, 0]

    def traced(frame, event, argument):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counts[0] += frame.f_code.co_filename.startswith(ours)
            counts[1] += 1
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        work()
    finally:
        sys.settrace(before)
    return counts


def test_a_request_of_ten_queries_by_an_orm_executes_a_twentieth_more_at_most():
    """Counted, where times would depend on what else runs: the benchmark has those."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy import orm

    class Base(orm.DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "item"
        id = orm.mapped_column(sqlalchemy.Integer, primary_key=True)
        name = orm.mapped_column(sqlalchemy.Text)

    def request():
        with orm.Session(engine) as session:
            for least in range(10):
                session.scalars(sqlalchemy.select(Item).where(Item.id >= least)).all()

    def looked_into():
        record = Record(1, "GET")
        token = running.set(record)
        request()
        running.reset(token)
        event = event_of(record, False)
        assert encode(insight_event(1, 1, event)) and event["query_count"] == 10

    insight = Insight(Log(), is_project=lambda path: path == __file__)
    insight.watch(1)
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all(Item(name="x" * 50) for _ in range(20))
        session.commit()
    for work in (request, looked_into):
        work()
    idle, _ = instructions(request)
    watched, executed = instructions(looked_into)
    insight.watch(0)
    engine.dispose()
    assert 0 < idle < 0.01 * executed, (idle, executed)
    assert idle < watched < 0.05 * (executed - watched), (watched, executed)
