"""A writer killed at any step: nothing is lost, and the same command ends in the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cbir.collection import Collection, extraction
from cbir.store import publication
from tests.small import RECIPES, content, settle, write_picture, write_pictures

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")

SLOW = bool(os.environ.get("CBIR_SLOW_TESTS"))  # 200 random kills instead of a few

# What is done, from which state: name -> (recipe, steps before, the step that is killed). A step
# is one of the functions of STEPS below.
CASES = {
    "first build": ("bow", [], "build"),
    "first build, colour": ("colour", [], "build"),
    "second build": ("vlad", ["build", "change"], "build"),
    "add": ("bow", ["build"], "add"),
    "add that merges": ("colour", ["build", "add one", "add two"], "add"),
    "remove": ("colour", ["build"], "remove"),
    "update": ("colour", ["build", "change"], "update"),
    "compact": ("colour", ["build", "add one", "remove"], "compact"),
}


def build(path, root, name):
    Collection.build(root, path, RECIPES[name], n_threads=1)


def change(path, root, name):
    (root / "a/001.png").unlink(missing_ok=True)
    write_picture(root / "a/003.png", 103)
    write_picture(root / "new.png", 60)
    settle(root)


def add(path, root, name):
    Collection.open(path).add([root.parent / f"more/{i}.png" for i in range(5)], n_threads=1)


def add_one(path, root, name):
    Collection.open(path).add(root.parent / "more/8.png", n_threads=1)


def add_two(path, root, name):
    Collection.open(path).add(root.parent / "more/9.png", n_threads=1)


def remove(path, root, name):
    c = Collection.open(path)
    c.remove([i for i in (0, 7) if i in c.ids])


def update(path, root, name):
    Collection.open(path).update(n_threads=1)


def compact(path, root, name):
    Collection.open(path).compact(n_threads=1)


STEPS = {
    "build": build,
    "change": change,
    "add": add,
    "add one": add_one,
    "add two": add_two,
    "remove": remove,
    "update": update,
    "compact": compact,
}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(extraction, "PART_IMAGES", 4)


@pytest.fixture
def root(tmp_path):
    write_pictures(tmp_path / "photos")
    for i in range(10):
        write_picture(tmp_path / f"more/{i}.png", 40 + i)
    settle(tmp_path)
    return tmp_path / "photos"


def killed(step, path, root, name, die_at):
    """Run a step in a forked child that kills itself at a call that changes the disk, or SQLite.

    True if it was killed, False if it came through.
    """
    pid = os.fork()
    if pid == 0:
        count = 0

        def wrap(function):
            def call(*args, **kwargs):
                nonlocal count
                count += 1
                if count == die_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return call

        for what in ("fsync", "replace", "unlink"):
            setattr(os, what, wrap(getattr(os, what)))
        connect = publication._connect

        def watched(file):
            connection = connect(file)
            connection.set_progress_handler(wrap(lambda: 0), 40)  # inside a transaction
            return connection

        publication._connect = watched
        try:
            STEPS[step](path, root, name)
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), f"{step}, killed at {die_at}: {status}"
    return status != 0


@pytest.mark.parametrize("case", sorted(CASES))
def test_killed_at_steps(case, root, tmp_path):
    name, before, step = CASES[case]
    start = tmp_path / "start"
    for one in before:
        STEPS[one](start, root, name)
    states = []
    if start.is_dir():
        states.append(Collection.open(start).ids.tolist())
        shutil.copytree(start, tmp_path / "whole")
    STEPS[step](tmp_path / "whole", root, name)
    expected = content(tmp_path / "whole")
    states.append(Collection.open(tmp_path / "whole").ids.tolist())
    stride = 1 if SLOW else {"first build": 19, "remove": 3}.get(case, 11)
    n, kills = 1 - stride, 0
    while True:
        n += stride
        path = tmp_path / "killed"
        shutil.rmtree(path, ignore_errors=True)
        if start.is_dir():
            shutil.copytree(start, path)
        if not killed(step, path, root, name, n):
            break
        kills += 1
        if start.is_dir():
            assert Collection.check(path).ok, f"killed at {n}"
            assert Collection.open(path).ids.tolist() in states
        killed(step, path, root, name, n // 2 + 1)  # a second time on the way
        assert not killed(step, path, root, name, 0), f"killed at {n}"
        assert content(path) == expected, f"killed at {n}"
    assert kills > 1


RANDOM = """
import sys
from pathlib import Path
from cbir.collection import extraction
from tests.collection.test_kills import STEPS
extraction.PART_IMAGES = 4
step = STEPS[sys.argv[1]]
print("go", flush=True)
step(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
"""


@pytest.mark.parametrize("case", ["first build", "add that merges", "update", "remove"])
def test_killed_at_any_moment(case, root, tmp_path):
    """Another process, threads running, and SIGKILL from outside at seeded moments."""
    name, before, step = CASES[case]
    start, whole, path = (tmp_path / one for one in ("start", "whole", "killed"))
    for one in before:
        STEPS[one](start, root, name)
    if start.is_dir():
        shutil.copytree(start, whole)
        shutil.copytree(start, path)
    STEPS[step](whole, root, name)
    expected = content(whole)
    draw = random.Random(case)
    for _ in range(50 if SLOW else 3):
        child = subprocess.Popen(
            [sys.executable, "-c", RANDOM, step, str(path), str(root), name],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        child.stdout.readline()
        timer = threading.Timer(0.01 * 40 ** draw.random(), child.kill)
        timer.start()
        child.wait()
        timer.cancel()
        child.stdout.close()
        if start.is_dir():
            c = Collection.open(path)
            if c.generation != Collection.open(start).generation:  # it was published
                STEPS[step](path, root, name)  # nothing is left to do but to sweep
                assert Collection.open(path).generation == c.generation
                assert content(path) == expected
                shutil.rmtree(path)
                shutil.copytree(start, path)
    STEPS[step](path, root, name)
    assert content(path) == expected
