"""A project of thirty modules that is changed at random, as people, editors and git do it.

Knows no server: `fresh()` says what a process that starts now would answer.
"""

import contextlib
import os
import shutil
import subprocess
import sys

APP = '''
import json
{imports}

def tell():
    return [{told}]

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({{"type": message["type"] + ".complete"}})
            if message["type"] == "lifespan.shutdown":
                return
    body = json.dumps(tell()).encode()
    await send({{"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain")]}})
    await send({{"type": "http.response.body", "body": body}})
'''
FRESH = """
import json, shop
try:
    print(json.dumps(shop.tell()))
except Exception:
    print("fails")
"""
PACKAGES = ("goods", "goods.stock", "people", "people.staff", "money")
BROKEN = ("def broken(:\n", "1/0\n", "import surely_not_there\n", "raise SystemExit(3)\n",
          "from goods import surely_not_there\n")


class RandomProject:
    """The project in `folder`, with a repository of two branches."""

    def __init__(self, folder, rng):
        self.folder = folder
        self.rng = rng
        self.log = []
        self._number = 0
        self._branch = "main"
        self._moved = []  # (where it is, where it belongs)
        folder.mkdir()
        self.modules = [f"{package}.m{index}" for index, package in enumerate(
            PACKAGES * 6)][:30]
        self._needs = {name: rng.sample(self.modules[:index], min(index, rng.randrange(3)))
                       for index, name in enumerate(self.modules)}
        for package in PACKAGES:
            self._path(package).mkdir(parents=True, exist_ok=True)
            (self._path(package) / "__init__.py").write_text("")
        for name in self.modules:
            self._file(name).write_text(self._source(name))
        self._write_app()
        self._git("init", "-q", "-b", "main")
        self._commit()
        self._git("checkout", "-q", "-b", "other")
        for name in rng.sample(self.modules, 12):
            self._file(name).write_text(self._source(name))
        self._commit()
        self._git("checkout", "-q", "main")

    def fresh(self):
        """What a process that starts now would answer, "fails" where that raises; None if it
        would not start."""
        done = subprocess.run([sys.executable, "-B", "-c", FRESH], cwd=self.folder, text=True,
                              capture_output=True, timeout=60,
                              env={**os.environ, "PYTHONPATH": ""})
        return done.stdout.strip() if done.returncode == 0 else None

    def change(self):
        """Do something to it."""
        actions = [self._save] * 8 + [
            self._save_in_place, self._rename, self._delete, self._recreate, self._move_folder,
            self._break, self._mend, self._mend, self._mend, self._burst, self._touch,
            self._switch, self._shadow,
            self._optional, self._as_package, self._link_package, self._replace_project,
            self._hang, self._rewire]
        action = self.rng.choice(actions)
        try:
            said = action()
        except OSError as exc:  # what it would change is elsewhere at this moment
            said = f"impossible: {exc}"
        self.log.append(f"{action.__name__.strip('_')}: {said}")

    # -- writing -------------------------------------------------------------------------------

    def _source(self, name, more=""):
        self._number += 1
        lines = [more]
        if self.rng.random() < 0.2:
            lines.append(f"import time; time.sleep({self.rng.choice((0.01, 0.03, 0.1))})")
        told = [repr(f"{name} {self._number}")]
        for needed in self._needs[name]:
            package, _, own = needed.rpartition(".")
            lines.append(f"from {package} import {own}")
            told.append(f"*{own}.tell()")
        lines.append(f"try:\n    from {name.rpartition('.')[0]} import optional\n"
                     "except ImportError:\n    optional = None")
        told.append("getattr(optional, 'text', 'no text')")
        lines.append(f"def tell():\n    return [{', '.join(told)}]\n")
        return "\n".join(lines)

    def _write_app(self):
        wanted = self.rng.sample(self.modules, 8)
        imports = "\n".join(f"import {name}" for name in wanted)
        path = self.folder / "shop.py"
        path.write_text(APP.format(
            imports=imports, told=", ".join(f"*{name}.tell()" for name in wanted)))
        return wanted

    def _path(self, package):
        return self.folder.joinpath(*package.split("."))

    def _file(self, name):
        path = self._path(name)
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

    def _any(self):
        return self.rng.choice(self.modules)

    def _atomically(self, path, text):
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(text)
        os.replace(temporary, path)

    # -- what people do ------------------------------------------------------------------------

    def _save(self):
        name = self._any()
        self._atomically(self._file(name), self._source(name))
        return name

    def _save_in_place(self):
        name = self._any()
        self._file(name).write_text(self._source(name))
        return name

    def _rename(self):
        """Away, and for good: until it is recreated, its users fail."""
        name = self._any()
        path = self._file(name)
        path.rename(path.with_name("was_" + path.name))
        return name

    def _delete(self):
        name = self._any()
        self._file(name).unlink()
        return name

    def _recreate(self):
        """What is missing, in the way that it was."""
        found = [name for name in self.modules if not self._file(name).exists()]
        for name in found:
            self._file(name).parent.mkdir(parents=True, exist_ok=True)
            self._atomically(self._file(name), self._source(name))
        return found

    def _move_folder(self):
        if self._moved:
            now, before = self._moved.pop()
            if not before.exists():
                now.rename(before)
                return f"{before.name} back"
            shutil.rmtree(now, ignore_errors=True)
            return f"{now.name} forgotten"
        package = self.rng.choice(PACKAGES)
        path = self._path(package)
        aside = path.with_name(path.name + "_bak")
        path.rename(aside)
        if self.rng.random() < 0.5:
            shutil.copytree(aside, path)
            for name in self.modules:
                if name.startswith(package + ".") and self._file(name).exists():
                    self._file(name).write_text(self._source(name))
        self._moved.append((aside, path))
        return package

    def _break(self):
        name = self._any()
        self._atomically(self._file(name), self.rng.choice(BROKEN))
        return name

    def _mend(self):
        """Whatever is wrong, as far as a person would see it."""
        while self._moved:
            self._move_folder()
        for package in PACKAGES:
            path = self._path(package)
            if path.is_symlink():
                path.unlink()
            path.mkdir(parents=True, exist_ok=True)
            init = path / "__init__.py"
            if not init.exists() or init.read_text():
                init.write_text("")
        for name in self.modules:
            path = self._file(name)
            if not path.exists() or "def tell" not in path.read_text():
                self._atomically(path, self._source(name))
        return "all"

    def _burst(self):
        name = self._any()
        path = self._file(name)
        for _ in range(self.rng.randrange(3, 8)):
            path.write_text(self._source(name))
            self.rng.pause(self.rng.choice((0.001, 0.01, 0.03)))
        return name

    def _touch(self):
        name = self._any()
        os.utime(self._file(name))
        return name

    def _switch(self):
        self._branch = "other" if self._branch == "main" else "main"
        self._git("checkout", "-q", "-f", self._branch)
        return self._branch

    def _shadow(self):
        """A package beside a module of its name, or none any more."""
        name = self._any()
        folder = self._path(name)
        if folder.is_dir():
            shutil.rmtree(folder)
            return f"not {folder.name}"
        folder.mkdir()
        if self.rng.random() < 0.7:
            (folder / "__init__.py").write_text(self._source(name))
        return folder.name

    def _optional(self):
        path = self._path(self.rng.choice(PACKAGES)) / "optional.py"
        if path.exists():
            path.unlink()
            return f"no {path}"
        self._number += 1
        path.write_text(f"text = 'optional {self._number}'\n")
        return path

    def _as_package(self):
        """Whether a folder has an __init__.py makes little difference to what is in it."""
        path = self._path(self.rng.choice(PACKAGES)) / "__init__.py"
        if path.exists():
            path.unlink()
        else:
            path.write_text("")
        return path

    def _link_package(self):
        """A package that is a link, which is switched to a copy of it."""
        package = self.rng.choice(PACKAGES)
        path = self._path(package)
        self._number += 1
        copy = self.folder.parent / f"copy{self._number}"
        shutil.copytree(path, copy)
        for name in self.modules:
            file = copy / f"{name.rpartition('.')[2]}.py"
            if name.rpartition(".")[0] == package and file.exists():
                file.write_text(self._source(name))
        if path.is_symlink():
            link = path.with_name(path.name + "_new")
            link.symlink_to(copy)
            os.replace(link, path)
        else:
            shutil.rmtree(path)
            path.symlink_to(copy)
        return package

    def _replace_project(self):
        aside = self.folder.with_name("aside")
        self.folder.rename(aside)
        self.rng.pause(self.rng.choice((0.0, 0.01, 0.1, 0.2)))
        if self.rng.random() < 0.5:
            aside.rename(self.folder)
            return "moved away and back"
        shutil.copytree(aside, self.folder, symlinks=True)
        shutil.rmtree(aside)
        for name in self.rng.sample(self.modules, 3):
            with contextlib.suppress(OSError):
                self._file(name).write_text(self._source(name))
        return "replaced by a copy"

    def _hang(self):
        name = self._any()
        path = self._file(name)
        self._atomically(path, "while True: pass\n")
        self.rng.pause(self.rng.choice((0.01, 0.1, 0.3)))
        self._atomically(path, self._source(name))
        return name

    def _rewire(self):
        return self._write_app()

    def _commit(self):
        self._git("add", "-A")
        self._git("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "state")

    def _git(self, *arguments):
        subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, timeout=30,
                       check=arguments[0] != "checkout")
