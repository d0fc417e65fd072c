"""Exceptions as lines: from where it happened outwards, with what is needed to understand it."""

import pytest

pytest.importorskip("textual")

from rich.style import Style

from tui.model.logs import Error
from tui.model.session import Session
from tui.panes.traceback import error_lines, raised_lines

FOLDER = "/home/ada/shop"
SITE = "/home/ada/shop/.venv/lib/python3.12/site-packages/"


class Pane:
    """What a page may ask of its pane."""

    def __init__(self):
        self.session = Session()
        self.session.folder = FOLDER

    def style(self, name):
        return Style(meta={"name": name})


def frame(file, line, name, *, project=True, first=None, source=(), **more):
    return {"file": file, "line": line, "name": name, "project": project,
            "first": line if first is None else first, "source": list(source), **more}


CART = frame(f"{FOLDER}/cart.py", 12, "total", first=9, marked=[15, 22], source=[
    "", "", "def total(items):", "    return sum(i.price for i in items)", "", "",
    "def other():"], variables={"items": "[None]"})
VIEW = frame(f"{FOLDER}/views.py", 40, "checkout", source=["        return total(items)"],
             variables={"request": "<Request>"})
FRAMEWORK = frame(f"{SITE}starlette/routing.py", 76, "app", project=False,
                  source=["await func(request)"])
LIBRARY = frame("/usr/lib/python3.12/json/decoder.py", 355, "JSONDecoder.raw_decode",
                project=False, source=["raise error"])


def raised(*frames, type="AttributeError", text="no price", relation="", left_out=0):
    return {"type": type, "text": text, "relation": relation, "frames": list(frames),
            "left_out": left_out}


def error(*chain, **given):
    return Error(1, {"type": "AttributeError", "text": "no price", "chain": list(chain),
                     "file": f"{FOLDER}/cart.py", "line": 12, **given})


def shown(subject, unfold=False, width=80, lines=error_lines):
    return ["".join(text for text, _ in line).rstrip()
            for line in lines(Pane(), subject, unfold, width)]


def test_the_place_comes_first_and_its_callers_after_it():
    assert shown(error(raised(FRAMEWORK, VIEW, CART))) == [
        " AttributeError: no price  e opens the editor",
        " cart.py:12 in total",
        "   11 def total(items):",
        " ▸ 12     return sum(i.price for i in items)",
        "     items = [None]",
        " called from views.py:40 in checkout",
        " ▸ 40 return total(items)",
        "     request = <Request>",
        " ▹ 1 framework frame hidden (f)"]


def test_what_is_meant_of_a_line_is_marked_where_its_margin_went():
    marked = [text for line in raised_lines(Pane(), error(raised(CART)), False, 80)
              for text, style in line if style is not None and style.underline]
    assert marked == ["i.price"]


def test_frames_of_packages_are_called_as_they_are_imported():
    lines = shown(error(raised(FRAMEWORK, VIEW, LIBRARY)), unfold=True)
    assert " json/decoder.py:355 in JSONDecoder.raw_decode" in lines
    assert " called from starlette/routing.py:76 in app" in lines
    assert " ▸ 355 raise error" in lines
    folded = shown(error(raised(FRAMEWORK, VIEW, LIBRARY)))
    assert folded[1:3] == [" ▹ 1 framework frame hidden (f)", " views.py:40 in checkout"]


def test_without_a_place_in_the_project_all_frames_are_shown():
    assert " called from starlette/routing.py:76 in app" in shown(
        error(raised(FRAMEWORK, LIBRARY), file=None))


def test_a_module_that_was_imported_says_by_whom():
    module = frame(f"{FOLDER}/cart.py", 3, "<module>", source=["import numpi"])
    main = frame(f"{FOLDER}/main.py", 1, "<module>", source=["import cart"])
    assert [line for line in shown(error(raised(main, module))) if ":" in line][1:] == [
        " cart.py:3 in <module>", " imported from main.py:1 in <module>"]


def test_what_python_could_not_read_has_its_place_and_no_function():
    place = frame(f"{FOLDER}/cart.py", 84, "", first=81, marked=[11, 12], source=[
        "    return 1", "", "", "def broken(:"])
    assert shown(error(raised(place, type="SyntaxError")))[1:] == [
        " cart.py:84", " ▸ 84 def broken(:"]


@pytest.mark.parametrize(("relation", "words"), [
    ("cause", "raised from KeyError: 'price'"),
    ("context", "raised while handling KeyError: 'price'"),
    ("member", "contains KeyError: 'price'"),
])
def test_each_exception_of_a_chain_says_how_it_came_in(relation, words):
    chain = raised(VIEW), raised(CART, type="KeyError", text="'price'", relation=relation)
    assert " " + words in shown(error(*chain))


def test_frames_that_are_left_out_are_counted():
    assert " 161 more are not shown" in shown(error(raised(CART, left_out=161)))


def test_a_long_line_is_wrapped_below_its_beginning():
    long = frame(f"{FOLDER}/cart.py", 5, "f", source=["    x = " + "word " * 12])
    lines = shown(error(raised(long)), width=40)
    assert lines[2:4] == [" ▸ 5 x = word word word word word word",
                          "       word word word word word word"]


@pytest.mark.parametrize("width", range(12))
def test_no_width_is_too_narrow(width):
    assert shown(error(raised(FRAMEWORK, VIEW, CART)), width=width)


def test_a_traceback_that_is_only_text_has_files_as_the_project_calls_them():
    text = (f'Traceback (most recent call last):\n  File "{SITE}starlette/routing.py", line 76, '
            f'in app\n    await func()\n  File "{FOLDER}/cart.py", line 12, in total\n'
            "    return x\n           ^\nAttributeError: no price\n")
    assert shown(error(traceback=text), lines=raised_lines) == [
        " Traceback (most recent call last):",
        " ▹ 1 framework frame hidden (f)",
        ' File "cart.py", line 12, in total',
        "     return x",
        "            ^",
        " AttributeError: no price"]
