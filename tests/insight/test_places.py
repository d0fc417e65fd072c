"""Where in the project a statement comes from: searched for once where that is far, and right."""

import sys
import threading

import pytest

from tremolo.insight.places import FAR, MAX_REMEMBERED, Places
from tremolo.insight.record import Record

LIBRARY = """
def execute(places, statement):
    return places.of(statement, 1)

def through(function, *arguments):
    return function(*arguments)
"""


@pytest.fixture
def library():
    found = {}
    exec(compile(LIBRARY, "/lib/library.py", "exec"), found)
    return found


class Walking(Places):
    walks = 0

    def _search(self, depth, statement):
        self.walks += 1
        return super()._search(depth + 1, statement)


@pytest.fixture
def places():
    return Walking(lambda path: path == __file__)


def line():
    return sys._getframe(1).f_lineno


def test_a_statement_of_a_loop_is_searched_for_once(places, library):
    call = [library["through"]] * FAR + [library["execute"], places, "select 1"]
    found = {library["through"](*call) for _ in range(10)}
    assert found == {(__file__, line() - 1)}
    assert places.walks == 1


@pytest.mark.parametrize("away", [0, FAR + 2])
def test_each_line_that_sends_the_same_statement_is_named(places, library, away):
    through, call = library["through"], [library["through"]] * away + [
        library["execute"], places, "select 1"]
    first, second = through(*call), line()
    assert first == (__file__, second)
    assert through(*call) == (__file__, line())


@pytest.mark.parametrize("place", [0, FAR // 2, FAR - 1, 1, 2])
def test_a_function_of_the_project_in_the_place_of_one_of_the_library_is_found(
        places, library, place):
    """As deep, from the same line, by another way. Near ones are looked at one by one."""
    near = place in (1, 2)
    way = [library["through"]] * (3 if near else FAR)

    def ours(function, *arguments):
        return function(*arguments)

    found = []
    for each in (way, [*way[:place], ours, *way[place + 1:]], way):
        found.append(each[0](*each[1:], library["execute"], places, "select 1"))
    assert found == [(__file__, line() - 1), (__file__, line() - 5), (__file__, line() - 1)]


def test_from_another_depth_the_way_is_searched_for_again(places, library):
    execute, through = library["execute"], library["through"]
    wanted = []
    for depth in (0, 3, 0, 40):
        call = [execute, places, "select 1"]
        found, wanted = through(*[through] * depth, *call), (__file__, line())
        assert found == wanted


def test_a_shallow_stack_after_a_deep_one_is_searched_as_well(places, library):
    execute, through = library["execute"], library["through"]
    through(*[through] * 50, execute, places, "select 1")
    found = []

    def shallow():
        found.append(execute(places, "select 1"))

    thread = threading.Thread(target=shallow)
    thread.start()
    thread.join()
    assert found == [(__file__, line() - 5)]


def test_what_no_project_sent_has_no_place(library):
    places = Places(lambda path: False)
    assert [library["execute"](places, "select 1") for _ in range(2)] == [None, None]


def test_of_statements_without_end_only_so_many_are_remembered(places, library):
    way = [library["through"]] * FAR
    for number in range(MAX_REMEMBERED + 10):
        library["through"](*way, library["execute"], places, f"select {number}")
    assert len(places._ways) == 10


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
