"""What is seen of the project's files, and what is made of it, without any server."""

import asyncio
import os
import sys
import threading
import time
import types

import pytest

from tests.support.processes import wait_until
from tremolo.config import Settings
from tremolo.supervisor.basis import FOLDER, Basis, digest
from tremolo.supervisor.folders import is_anybodys
from tremolo.supervisor.loop_guard import LoopGuard, Pace
from tremolo.supervisor.packages import Packages
from tremolo.supervisor.relevance import Relevance
from tremolo.supervisor.reload import Reloader
from tremolo.supervisor.watcher import Watcher, is_noise

NOTHING = Basis({}, {})


class Seen:
    """A watcher on a folder, and what it has told so far."""

    def __init__(self, *folders, polling=False):
        self.paths = set()
        self.notes = []
        self.watcher = Watcher(map(str, folders), self.paths.update, self.notes.append, polling)

    def __enter__(self):
        self.watcher.start()
        return self

    def __exit__(self, *exc_info):
        self.watcher.stop()
        self.watcher.join(10)

    def wait_for(self, path, write):
        """`write()` again and again (the watch may not have begun) until it is seen."""
        def seen():
            write()
            return str(path) in self.paths
        wait_until(seen, f"{path} to be seen")


@pytest.fixture(params=[False, True], ids=["notified", "polled"])
def polling(request):
    return request.param


def test_no_thread_of_a_watcher_outlives_its_end(tmp_path, polling):
    """One that is within the library when the interpreter ends aborts the process."""
    before = set(threading.enumerate())
    with Seen(tmp_path, polling=polling) as seen:
        seen.wait_for(tmp_path / "shop.py", (tmp_path / "shop.py").touch)
    assert not set(threading.enumerate()) - before


def test_a_deleted_and_recreated_folder_is_watched_again(tmp_path, polling):
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "shop.py"
    with Seen(folder, polling=polling) as seen:
        seen.wait_for(file, lambda: file.write_text(str(time.monotonic())))
        file.unlink()
        folder.rmdir()
        wait_until(lambda: not folder.exists())
        folder.mkdir()
        seen.paths.clear()
        seen.wait_for(file, lambda: file.write_text(str(time.monotonic())))


def test_links_in_a_circle_do_no_harm(tmp_path, polling):
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "itself.py").symlink_to("itself.py")
    file = tmp_path / "shop.py"
    with Seen(tmp_path, polling=polling) as seen:
        seen.wait_for(file, lambda: file.write_text(str(time.monotonic())))


@pytest.mark.parametrize("name", [
    ".shop.py.swp", "4913", "shop.py~", "#shop.py#", ".#shop.py", "__pycache__/shop.pyc",
    ".git/index.lock", "data.sqlite-journal.db-wal", "run.log", ".venv/lib/x.py"])
def test_what_editors_and_tools_write_is_noise(name):
    assert is_noise(os.path.join("/srv/project", name))


def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    assert is_anybodys(str(folder))
    seen = Seen(folder)
    assert seen.watcher.folders == ()
    assert "chmod o-w" in seen.notes[0]
    folder.chmod(0o1777)  # as /tmp: nobody can replace the files of others
    assert not is_anybodys(str(folder))


# -- what it means ---------------------------------------------------------------------------


def test_a_fifo_among_the_files_holds_nothing_up(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    assert digest(str(tmp_path / "pipe.py")) is None


def test_templates_and_styles_are_assets_and_only_when_their_content_changed(tmp_path):
    page, style = tmp_path / "page.html", tmp_path / "style.css"
    page.write_text("a")
    style.write_text("b")
    relevance = Relevance()
    paths = {str(page), str(style)}
    assert relevance.look(paths, NOTHING, broken=False).assets == sorted(paths)
    page.touch()
    style.write_text("c")
    found = relevance.look(paths, NOTHING, broken=False)
    assert found.assets == [str(style)]
    assert found.code == []


def test_an_included_template_calls_for_new_code_instead(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("a")
    found = Relevance(include=["*.html"]).look({str(page)}, NOTHING, broken=False)
    assert (found.code, found.assets) == ([str(page)], [])


def test_three_reloads_by_a_file_of_our_own_within_five_seconds_are_stopped():
    guard = LoopGuard()
    assert guard.caught(["/x.py"], 0.0) is None
    assert guard.caught(["/x.py"], 1.0) is None
    assert guard.caught(["/x.py"], 2.0) == "/x.py"
    assert guard.stopped == {"/x.py"}
    guard.forgive()
    assert guard.stopped == set()


def test_three_reloads_in_more_time_are_none_of_a_loop():
    guard = LoopGuard()
    assert not any(guard.caught(["/x.py"], now) for now in range(0, 60, 3))


def test_only_what_a_worker_reported_is_its_own(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("1")
    guard = LoopGuard()
    assert not guard.is_own(str(file), digest(str(file)))
    guard.wrote(str(file), time.time())
    assert guard.is_own(str(file), digest(str(file)))


def test_a_report_is_evidence_however_often_a_write_is_notified(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("1")
    guard = LoopGuard()
    guard.wrote(str(file), time.time(), digest(str(file)))
    assert guard.is_own(str(file), digest(str(file)))
    assert guard.is_own(str(file), digest(str(file)))


def test_a_report_is_evidence_for_one_content(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("the worker's")
    guard = LoopGuard()
    guard.wrote(str(file), time.time())
    guard.wrote(str(file), time.time(), digest(str(file)))
    file.write_text("the developer's")
    assert not guard.is_own(str(file), digest(str(file)))
    file.write_text("the worker's")
    assert guard.is_own(str(file), digest(str(file)))


def test_a_report_is_no_evidence_for_what_was_written_long_after_or_before(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("1")
    guard = LoopGuard()
    guard.wrote(str(file), time.time() - 5)
    assert not guard.is_own(str(file), digest(str(file)))
    guard.wrote(str(file), time.time() + 5)
    assert not guard.is_own(str(file), digest(str(file)))


def test_a_stopped_file_that_somebody_else_changes_counts_again():
    guard = LoopGuard()
    for now in range(3):
        guard.caught(["/x.py"], now)
    guard.accept("/x.py", "of the worker")
    assert guard.accepts("/x.py", "of the worker")
    guard.pardon("/x.py")
    assert guard.stopped == set()
    assert not guard.accepts("/x.py", "of the worker")


def test_reloads_in_a_row_while_code_starts_are_spaced_out_and_never_end():
    pace = Pace()
    delays = [pace.delay(["/x.py"], now / 10, busy=True) for now in range(60)]
    free = round(Pace.BURST * 10)
    assert delays[:free] == [0.0] * free
    assert delays[free:] == sorted(delays[free:])
    assert delays[-1] == Pace.MOST
    assert pace.delay(["/x.py"], 100.0, busy=True) == 0.0


def test_a_few_reloads_in_a_row_are_not_spaced_out_however_slow_they_are():
    pace = Pace()
    delays = [pace.delay(["/x.py"], now * 1.5, busy=True) for now in range(Pace.FREE + 1)]
    assert delays[:-1] == [0.0] * Pace.FREE
    assert delays[-1] > 0


def test_saves_of_other_files_or_of_code_that_serves_are_not_spaced_out():
    pace = Pace()
    assert not any(pace.delay(["/x.py"], now / 10, busy=False) for now in range(60))
    assert not any(pace.delay([f"/{now % 2}.py"], now / 10, busy=True) for now in range(60))


def test_a_changed_package_is_told_once_it_stands_still(tmp_path):
    file = tmp_path / "library.py"
    file.write_text("1")
    packages = Packages()
    packages.learn([str(file)])
    assert packages.changed() == []
    file.write_text("22")
    assert packages.changed() == []  # it may still be being written
    assert packages.changed() == [str(file)]
    assert packages.changed() == []
    file.unlink()
    packages.changed()
    assert packages.changed() == [str(file)]


# -- when it is acted on ---------------------------------------------------------------------


class Project:
    """A Reloader whose generations only note that they were asked for."""

    def __init__(self, folder, loop):
        self.changes = []
        self.assets = []
        self.notes = []
        self.zygotes = 0
        self.generations = types.SimpleNamespace(
            basis=NOTHING, failed=None, newest=None, stopping=False, keeping=list,
            renew=lambda change, cause: self.changes.append(change.paths))
        spawner = types.SimpleNamespace(renew=self._renew, refresh=self._renew)
        self.reloader = Reloader(
            Settings(), str(folder), str(folder), self.generations, spawner, loop,
            lambda text, level: self.notes.append(text), self.assets.extend)

    def _renew(self):
        self.zygotes += 1

    def imports(self, *paths):
        self.generations.basis = Basis({str(path): digest(str(path)) for path in paths}, {})


def with_project(folder, scenario):
    async def main():
        project = Project(folder, asyncio.get_running_loop())
        try:
            await asyncio.wait_for(scenario(project), 20)
        finally:
            project.reloader.close()

    asyncio.run(main())


async def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def test_a_checkout_of_hundreds_of_files_is_one_reload(tmp_path):
    (tmp_path / ".git").mkdir()
    lock = tmp_path / ".git" / "index.lock"
    files = [tmp_path / f"module{number}.py" for number in range(300)]
    for file in files:
        file.write_text("before")

    async def checkout(project):
        project.imports(*files)
        lock.write_text("")
        for start in range(0, 300, 100):  # batches, as a slow disk makes them
            for file in files[start:start + 100]:
                file.write_text("after")
            project.reloader.touched(set(map(str, files[start:start + 100])))
            await asyncio.sleep(0.12)
        assert project.changes == []
        lock.unlink()
        await until(lambda: project.changes)
        assert [len(paths) for paths in project.changes] == [300]

    with_project(tmp_path, checkout)


def test_a_module_that_is_deleted_for_good_counts_and_one_that_comes_back_does_not(tmp_path):
    gone, back = tmp_path / "gone.py", tmp_path / "back.py"
    gone.write_text("1")
    back.write_text("1")

    async def delete(project):
        project.imports(gone, back)
        gone.unlink()
        back.unlink()
        project.reloader.touched({str(gone), str(back)})
        back.write_text("1")
        await until(lambda: project.changes)
        assert project.changes == [(str(gone),)]

    with_project(tmp_path, delete)


def test_the_same_difference_counts_again_when_it_comes_by_another_change(tmp_path):
    found, missed = (Basis({}, {str(tmp_path): {"goods": noted}}) for noted in (FOLDER, ""))

    async def differ(project):
        (tmp_path / "goods").mkdir()
        project.generations.basis = missed
        assert project.reloader.verify() == {str(tmp_path / "goods")}
        assert not project.reloader.verify(), "new code was tried for it"
        project.generations.basis = found
        assert not project.reloader.verify()
        project.generations.basis = missed
        assert project.reloader.verify() == {str(tmp_path / "goods")}

    with_project(tmp_path, differ)


def test_what_differs_is_tried_again_when_the_project_was_moved_away_and_back(tmp_path):
    missed = Basis({}, {str(tmp_path): {"goods": ""}})

    async def move(project):
        (tmp_path / "goods").mkdir()
        project.generations.basis = missed
        project.reloader.verify()
        await until(lambda: project.changes)
        project.generations.basis = NOTHING  # new code has not looked for anything yet
        project.reloader.touched({str(tmp_path)})
        assert not project.reloader.verify()
        project.generations.basis = missed
        assert project.reloader.verify() == {str(tmp_path / "goods")}

    with_project(tmp_path, move)


def test_a_lock_file_renews_what_is_imported_ahead(tmp_path):
    async def lock(project):
        project.reloader.touched({str(tmp_path / "uv.lock")})
        await until(lambda: project.zygotes == 1)
        assert project.changes == []

    with_project(tmp_path, lock)


def silent(monkeypatch):
    """Have a watchfiles that watches, and never tells of anything."""
    def watch(*paths, stop_event, **options):
        while not stop_event.wait(0.02):
            yield set()

    monkeypatch.setitem(sys.modules, "watchfiles", types.SimpleNamespace(watch=watch))


async def later(project, seconds=100.0):
    """Have what the reloader has seen so far seem to be so many seconds ago."""
    watched = project.reloader._watched
    await until(lambda: watched._since < float("inf"))
    watched._since -= seconds
    for times in (watched._unseen, watched._notified):
        times.update({path: then - seconds for path, then in times.items()})


def test_where_no_notification_comes_files_are_polled(tmp_path, monkeypatch):
    silent(monkeypatch)
    file = tmp_path / "shop.py"
    file.write_text("before")

    async def save(project):
        project.imports(file)
        await later(project)
        file.write_text("after!")
        project.reloader.look_for_missed()
        await until(lambda: project.changes == [(str(file),)])  # served, and nobody is blamed
        assert project.notes == []
        await later(project)
        project.reloader.look_for_missed()
        assert "no notification came for" in project.notes[-1]
        project.imports(file)

        def again():
            file.write_text(f"and again {time.monotonic()}")
            return len(project.changes) > 1
        await until(again)

    with_project(tmp_path, save)


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_notification_that_comes_before_or_after_the_look_is_one(
        tmp_path, monkeypatch, order):
    silent(monkeypatch)
    file = tmp_path / "shop.py"
    file.write_text("before")

    async def save(project):
        project.imports(file)
        await later(project)
        file.write_text("after!")
        for name in sorted(["touched", "look"], reverse=order == "before"):
            if name == "look":
                project.reloader.look_for_missed()
            else:
                project.reloader.touched({str(tmp_path)})  # one of its folder will do
        await later(project, 2.0)
        project.reloader.look_for_missed()
        assert project.notes == []
        assert not project.reloader._watched.polling

    with_project(tmp_path, save)


def test_a_change_under_another_name_is_found_and_blames_nobody(tmp_path, monkeypatch):
    silent(monkeypatch)
    file, other = tmp_path / "shop.py", tmp_path / "other"
    file.write_text("before")
    os.link(file, other)

    async def save(project):
        project.imports(file)
        await later(project)
        other.write_text("after!")
        project.reloader.look_for_missed()
        await until(lambda: project.changes == [(str(file),)])
        await later(project)
        project.reloader.look_for_missed()
        assert project.notes == []

    with_project(tmp_path, save)
