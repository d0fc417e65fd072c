"""Under `python -O` there are no assertions: nothing may depend on them."""

import ast
import socket

import pytest

from tests.support.processes import DEADLINE, Server, project
from tests.test_layers import modules


def narrows_only(test):
    """Whether an assertion tells a type checker what is known: it asks nothing and does
    nothing."""
    if isinstance(test, ast.BoolOp):
        return all(map(narrows_only, test.values))
    if isinstance(test, ast.Call):
        return isinstance(test.func, ast.Name) and test.func.id == "isinstance"
    return (isinstance(test, ast.Compare) and len(test.ops) == 1
            and isinstance(test.ops[0], (ast.Is, ast.IsNot))
            and isinstance(test.comparators[0], ast.Constant)
            and test.comparators[0].value is None)


@pytest.mark.parametrize("package", ["tremolo", "tui"])
def test_no_assertion_guards_anything(package):
    wrong = []
    for path, dotted in modules(package):
        with open(path, encoding="utf-8") as file:
            source = file.read()
        if "assert" not in source:
            continue
        tree = ast.parse(source, path)
        wrong += [f"{dotted}:{node.lineno}" for node in ast.walk(tree)
                  if isinstance(node, ast.Assert) and not narrows_only(node.test)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("source", "fine"), [
    ("x is not None", True), ("isinstance(x, int)", True),
    ("x is not None and isinstance(x, int)", True), ("x", False), ("len(x) < 5", False),
    ("x == 5", False), ("f(x) is not None or x", False)])
def test_what_narrows_only_is_told_from_what_guards(source, fine):
    assert narrows_only(ast.parse(source, mode="eval").body) is fine


def test_a_server_without_assertions_refuses_and_serves_the_same(tmp_path):
    project(tmp_path, "here")
    with Server(tmp_path, "run", "shop:app", "--port", "0", "--workers", "2",
                PYTHONOPTIMIZE="2") as server:
        assert server.text() == "here"
        for request, status in ((b"GET / HTTP/1.1\r\n\r\n", b"400"),
                                (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
                                (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"505")):
            with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as client:
                client.sendall(request)
                assert client.recv(65536).startswith(b"HTTP/1.1 " + status)
        assert server.end() == 0
