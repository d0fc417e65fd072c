"""Files that are no code, but that the application has read: when their change is a reload."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from tests.support.processes import Server, hello, wait_until
from tremolo.supervisor.reads import ReadChanges

ANSWER = """
import functools, os

def read(name):
    with open(name) as file:
        return file.read()

kept = functools.lru_cache(read)
BEFORE

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        STARTUP
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    BODY
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""


def source(body, before="", startup="pass"):
    return ANSWER.replace("BODY", body).replace("BEFORE", before).replace("STARTUP", startup)


def dev(folder, *more):
    return Server(folder, "dev", "shop:app", "--port", "0", *more)


def reloads(server):
    return [event["files"] for event in server.find("reload", state="ready")][1:]


def save_code(folder):
    """Save the application so that it is another file, though it does the same."""
    with open(folder / "shop.py", "a") as file:
        file.write(f"# {time.time()}\n")


@pytest.mark.parametrize(("name", "text"), [
    pytest.param("data.json", source("text = data", "data = read('data.json')"), id="import"),
    pytest.param("data.json", source("text = app.data", startup="app.data = read('data.json')"),
                 id="startup"),
    pytest.param("page.html", source("text = kept('page.html')"), id="kept-by-a-request"),
    pytest.param("words.yaml", source("text = kept('words.yaml')"), id="settings-of-a-request"),
])
def test_what_may_be_kept_is_read_afresh(tmp_path, name, text):
    (tmp_path / "shop.py").write_text(text)
    (tmp_path / name).write_text("one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        (tmp_path / name).write_text("two")
        assert server.wait_for("reload", gen=2, state="ready")["files"] == [name]
        assert server.text() == "two"


class Knowing:
    """A worker that says which files it keeps: "at once", "late", or "never" in time."""

    def __init__(self, kept, answers):
        self.kept = kept
        self.answers = answers

    async def command(self, name, *, paths):
        if self.answers != "at once":
            await asyncio.sleep(0.05)
        if self.answers == "never":
            return {"ok": False, "error": "worker 1 does not answer"}
        return {"result": [path for path in paths if path in self.kept]}


def test_the_first_worker_that_keeps_a_file_decides_whoever_is_still_silent(
        tmp_path, monkeypatch):
    monkeypatch.setattr("tremolo.supervisor.reads.PATIENCE", 0.01)
    page = str(tmp_path / "page.html")
    (tmp_path / "page.html").touch()
    said = []

    class Silent:
        async def command(self, name, *, paths):
            await asyncio.get_running_loop().create_future()

    async def main():
        reads = ReadChanges(
            asyncio.get_running_loop(), lambda: [Silent(), Knowing([page], "late")],
            lambda paths: said.append(("code", paths)),
            lambda paths: said.append(("asset", paths)), lambda text, level: None)
        reads.touched([page], [page])
        await asyncio.wait_for(asyncio.gather(*reads._tasks), 30)

    asyncio.run(main())
    assert said == [("code", [page])]


@pytest.mark.parametrize(("keeps", "answers", "what"), [
    pytest.param(True, "at once", "code", id="kept"),
    pytest.param(False, "at once", "asset", id="not-kept"),
    pytest.param(True, "late", "code", id="said-late"),
    pytest.param(True, "never", "asset", id="not-known-in-time"),
])
def test_what_a_worker_keeps_is_new_code_and_all_else_a_fresh_look(
        tmp_path, monkeypatch, keeps, answers, what):
    monkeypatch.setattr("tremolo.supervisor.reads.PATIENCE", 60 if answers == "at once" else 0.01)
    page = str(tmp_path / "page.html")
    (tmp_path / "page.html").touch()
    said = []

    async def main():
        worker = Knowing([page] if keeps else [], answers)
        reads = ReadChanges(
            asyncio.get_running_loop(), lambda: [worker],
            lambda paths: said.append(("code", paths)),
            lambda paths: said.append(("asset", paths)), lambda text, level: None)
        reads.touched([page], [page])
        await asyncio.gather(*reads._tasks)
        reads.close()

    asyncio.run(main())
    assert said == [(what, [page])]


def test_a_module_that_is_imported_late_reads_as_at_startup(tmp_path):
    (tmp_path / "shop.py").write_text(source("import words; text = words.text"))
    (tmp_path / "words.py").write_text("text = open('words.csv').read()\n")
    (tmp_path / "words.csv").write_text("one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        (tmp_path / "words.csv").write_text("two")
        server.wait_for_text("two")


@pytest.mark.parametrize("name", ["site.css", "about.html", "logo.svg"])
def test_a_file_that_a_request_names_is_only_looked_at_afresh(tmp_path, name):
    (tmp_path / "shop.py").write_text(source("text = read(scope['path'][1:])"))
    (tmp_path / name).write_text("one")
    with dev(tmp_path) as server:
        assert server.get(f"/{name}")[1] == b"one"
        (tmp_path / name).write_text("two")
        assert server.wait_for("assets")["files"] == [name]
        assert server.get(f"/{name}")[1] == b"two"
        assert reloads(server) == []


def test_a_file_that_each_request_opens_is_only_looked_at_afresh(tmp_path):
    (tmp_path / "shop.py").write_text(source("text = read('page.html')"))
    (tmp_path / "page.html").write_text("one")
    with dev(tmp_path) as server:
        for _ in range(3):
            assert server.text() == "one"
        (tmp_path / "page.html").write_text("two")
        assert server.wait_for("assets")["files"] == ["page.html"]
        assert server.text() == "two"
        assert reloads(server) == []


@pytest.mark.parametrize("write", [
    "open('data.json', 'w').write(text)",
    "open('new', 'w').write(text); os.replace('new', 'data.json')",
])
def test_what_the_application_writes_itself_does_not_reload_it(tmp_path, write):
    (tmp_path / "shop.py").write_text(source(
        f"text = str(len(data) + 1) + scope['path']; {write}", "data = read('data.json')"))
    (tmp_path / "data.json").write_text("one")
    with dev(tmp_path) as server:
        assert server.get("/x")[1] == b"4/x"
        assert server.get("/y")[1] == b"4/y"
        # Whatever was seen of that has been seen before the next save is.
        save_code(tmp_path)
        server.wait_for("reload", gen=2, state="ready")
        assert server.get("/z")[1] == b"4/z"
        save_code(tmp_path)
        server.wait_for("reload", gen=3, state="ready")
        assert reloads(server) == [["shop.py"], ["shop.py"]]


def test_a_file_that_a_child_makes_for_a_request_does_not_reload(tmp_path):
    (tmp_path / "shop.py").write_text("import subprocess, sys\n" + source(
        "subprocess.run([sys.executable, '-c', 'open(\"out.html\", \"w\").write(\"x\" * "
        "len(sys.argv[1]))'.replace('sys.argv[1]', repr(scope['path']))]); "
        "text = read('out.html')"))
    with dev(tmp_path) as server:
        for path in ("/1", "/22", "/333"):
            assert server.get(path)[1] == b"x" * len(path)
        save_code(tmp_path)
        server.wait_for("reload", gen=2, state="ready")
        assert reloads(server) == [["shop.py"]]


def test_a_file_that_others_write_all_the_time_reloads_a_few_times_and_when_it_rests(tmp_path):
    (tmp_path / "shop.py").write_text(source("text = data", "data = read('data.json')"))
    (tmp_path / "data.json").write_text("0")
    with dev(tmp_path) as server:
        assert server.text() == "0"
        writer = subprocess.Popen([sys.executable, "-c", """
import time
for number in range(1, 61):
    with open("data.new", "w") as file:
        file.write(str(number))
    import os; os.replace("data.new", "data.json")
    time.sleep(0.05)
"""], cwd=tmp_path)
        try:
            server.wait_for_text("60")
            files = reloads(server)
            assert files == [["data.json"]] * len(files)
            assert len(files) <= 6
            notes = [event["text"] for event in server.find("log", stream="tremolo")]
            assert [text for text in notes if "data.json" in text and "--reload-exclude" in text]
        finally:
            writer.wait(10)


def test_a_file_that_is_edited_while_new_code_starts_is_not_missed(tmp_path):
    (tmp_path / "shop.py").write_text("import time\n" + source(
        "text = data", "data = read('page.html')\nopen('started', 'w').close()\n"
        "while os.path.exists('wait'): time.sleep(0.01)"))
    (tmp_path / "page.html").write_text("one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        (tmp_path / "wait").touch()
        (tmp_path / "started").unlink()
        save_code(tmp_path)
        wait_until((tmp_path / "started").exists, "the start of the new code")
        (tmp_path / "page.html").write_text("two")
        (tmp_path / "wait").unlink()
        server.wait_for_text("two")


def test_a_file_that_was_deleted_and_came_back_is_one_reload(tmp_path):
    (tmp_path / "shop.py").write_text(source("text = data", "data = read('page.html')"))
    (tmp_path / "page.html").write_text("one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        (tmp_path / "page.html").unlink()
        (tmp_path / "page.html").write_text("two")
        server.wait_for_text("two")
        wait_until(lambda: reloads(server) == [["page.html"]], "its only reload")
        assert not server.find("reload", state="failed")


def test_files_that_are_excluded_do_not_count(tmp_path):
    (tmp_path / "shop.py").write_text(source("text = data", "data = read('data.json')"))
    (tmp_path / "data.json").write_text("one")
    with dev(tmp_path, "--reload-exclude", "*.json") as server:
        assert server.text() == "one"
        (tmp_path / "data.json").write_text("two")
        save_code(tmp_path)
        server.wait_for("reload", gen=2, state="ready")
        assert server.text() == "two"
        assert reloads(server) == [["shop.py"]]


def test_a_linked_template_counts_where_it_lies(tmp_path):
    project, shared = tmp_path / "project", tmp_path / "shared"
    project.mkdir()
    shared.mkdir()
    (shared / "page.html").write_text("one")
    os.symlink(shared, project / "pages")
    (project / "shop.py").write_text(source("text = data", "data = read('pages/page.html')"))
    with dev(project) as server:
        assert server.text() == "one"
        (shared / "page.html").write_text("two")
        server.wait_for_text("two")


def test_a_style_sheet_that_nobody_read_only_refreshes_browsers(tmp_path):
    (tmp_path / "shop.py").write_text(hello("one"))
    with dev(tmp_path) as server:
        assert server.text() == "one"
        (tmp_path / "site.css").write_text("p {}")
        assert server.wait_for("assets")["files"] == ["site.css"]
        assert reloads(server) == []
