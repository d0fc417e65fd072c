"""`tremolo dev`, and nothing else, in projects as people lay them out."""

import http.client
import os
import re
import subprocess
import sys

import pytest

from tests.support.layouts import CSS, LAYOUTS, build, fastapi
from tests.support.processes import Server, environment, wait_until


class Plain(Server):
    """`tremolo dev --plain ARGUMENTS` in a folder, on a port of the system's choice."""

    def __init__(self, folder, *arguments, **environ):
        super().__init__(folder, "dev", *arguments, "--plain", "--port", "0", json=False,
                         **environ)

    def serving(self):
        def said():
            assert self.process.poll() is None, "".join(self.lines + self.errors)
            return re.search(r"http://127\.0\.0\.1:(\d+)", self.text_of_log())

        self.listens = int(wait_until(said, "the address")[1])
        return self

    def text_of_log(self):
        return "".join(self.lines + self.errors)

    def fetch(self, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.listens, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@pytest.mark.parametrize("layout", [pytest.param(layout, id=name)
                                    for name, layout in LAYOUTS.items()])
def test_a_project_serves_its_page_its_styles_and_its_error_page(tmp_path, layout):
    pytest.importorskip(layout.needs)
    folder = build(tmp_path, layout)
    with Plain(folder, *layout.arguments) as server:
        server.serving()
        status, page = server.fetch("/")
        assert status == 200, page
        assert layout.page in page
        assert server.fetch("/static/site.css") == (200, CSS)
        if layout.needs == "django":
            status, styles = server.fetch("/static/admin/css/base.css")
            assert status == 200, styles
        status, page = server.fetch("/boom", Accept="text/html")
        assert status == 500
        assert "ZeroDivisionError" in page
        assert layout.found in server.text_of_log()
