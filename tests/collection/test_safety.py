"""A collection under attack: kills, full disks, two writers, readers meanwhile, damaged files."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cbir.collection import extraction
from cbir.collection import Collection
from cbir.errors import CbirError, FormatError, LockError, StorageError
from cbir.store import WriterLock, atomic
from tests.small import RECIPES, tree, write_picture, write_pictures

posix = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")
COLOUR = RECIPES["colour"]

# Builds in forked children that kill themselves at the n-th call of os.fsync, os.replace or
# os.unlink, for n in steps of a stride; after each, the same build must end in the bytes of an
# undisturbed one.
KILL = """
import os, signal, shutil, sys
from pathlib import Path
from cbir.collection import extraction
from cbir.collection import Collection
from tests.small import RECIPES, tree

root, work, name, base = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
stride = int(sys.argv[5])
extraction.PART_IMAGES = 4

def build(path, die_at):
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
        try:
            Collection.build(root, path, RECIPES[name], n_threads=1)
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    return os.waitpid(pid, 0)[1]

def start(path):
    shutil.rmtree(path, ignore_errors=True)
    if base.is_dir():
        shutil.copytree(base, path)

whole = work / "whole"
start(whole)
assert build(whole, 0) == 0
expected = tree(whole)
n = 1 - stride
while True:
    n += stride
    path = work / "killed"
    start(path)
    status = build(path, n)
    if status == 0:
        break
    assert os.WIFSIGNALED(status), f"step {n}: {status}"
    if base.is_dir():
        # Before the second generation is published, the first is whole; after it, the second.
        c = Collection.open(path)
        assert c.ntotal == {1: 10, 2: 9}[c.generation]
    # Killed a second time on the way, then let through.
    build(path, n // 2 + 1)
    assert build(path, 0) == 0, f"step {n}: the second run failed"
    found = tree(path)
    found["lock"] = expected["lock"]
    wrong = {k for k in {**found, **expected} if found.get(k) != expected.get(k)}
    assert not wrong, f"step {n}: {sorted(wrong)} differ"
assert n > 10
print("steps", n - 1)
"""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(extraction, "PART_IMAGES", 4)


@pytest.fixture
def root(tmp_path):
    return write_pictures(tmp_path / "photos")


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@posix
@pytest.mark.parametrize(("name", "stride"), [("bow", 7), ("colour", 2)])
def test_killed_at_every_step_of_a_first_build(name, stride, root, tmp_path):
    done = run(KILL, root, tmp_path, name, tmp_path / "none", stride)
    assert done.returncode == 0, done.stdout + done.stderr


@posix
@pytest.mark.parametrize("name", ["vlad", "colour"])
def test_killed_at_every_step_of_a_second_build(name, root, tmp_path):
    Collection.build(root, tmp_path / "base", RECIPES[name])
    (root / "a/001.png").unlink()
    (root / "a/003.png").unlink()
    write_picture(root / "new.png", 60)
    done = run(KILL, root, tmp_path, name, tmp_path / "base", 2)
    assert done.returncode == 0, done.stdout + done.stderr


RANDOM_KILL = """
import sys
from cbir.collection import extraction
from cbir.collection import Collection
from tests.small import RECIPES
extraction.PART_IMAGES = 4
print("go", flush=True)
Collection.build(sys.argv[1], sys.argv[2], RECIPES["bow"])
"""


@posix
def test_killed_at_any_moment_with_threads_running(root, tmp_path):
    Collection.build(root, tmp_path / "whole", RECIPES["bow"])
    expected = tree(tmp_path / "whole")
    for k in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", RANDOM_KILL, str(root), str(tmp_path / "killed")],
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        child.stdout.readline()
        timer = threading.Timer(0.02 * 1.7**k, child.kill)
        timer.start()
        child.wait()
        timer.cancel()
        child.stdout.close()
    Collection.build(root, tmp_path / "killed", RECIPES["bow"])
    assert tree(tmp_path / "killed") == expected


def test_second_writer_is_refused_and_readers_are_not(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    with WriterLock(path / "lock"):
        for write in (
            lambda: Collection.build(root, path, COLOUR),
            lambda: c.remove([0]),
            lambda: c.add(root),
            c.update,
        ):
            with pytest.raises(LockError, match=f"process {os.getpid()} is writing"):
                write()
        assert Collection.open(path).search(root / "a/001.png", 1).I[0, 0] in c.ids
    c.remove([0])


def test_opened_again_and_again_while_it_is_rebuilt(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, COLOUR)
    stop, seen, wrong = threading.Event(), set(), []

    def read():
        while not stop.is_set():
            try:
                c = Collection.open(path)
                best = c.search(root / "a/001.png", 1).I[0]
                assert c.paths(best) == ["a/001.png"]
                assert c.ntotal == 9 + c.generation % 2
                seen.add(c.generation)
            except Exception as error:
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for k in range(12):
        if k % 2:
            write_picture(root / "a/extra.png", 500 + k)
        else:
            (root / "a/extra.png").unlink(missing_ok=True)
            (root / "a/005.png").unlink(missing_ok=True)
        Collection.build(root, path, COLOUR)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong, wrong[0]
    assert len(seen) > 1


def test_open_before_a_build_has_finished(root, tmp_path):
    with pytest.raises(FormatError, match="no finished collection"):
        Collection.open(tmp_path / "nowhere")
    (tmp_path / "c").mkdir()
    with pytest.raises(FormatError, match="run it again if it was stopped"):
        Collection.open(tmp_path / "c")


def files_of(path):
    return sorted(
        p.relative_to(path).as_posix()
        for p in path.rglob("*")
        if p.is_file() and p.name != "lock" and p.parent.name != "features"
    )


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_missing_cut_and_altered_files_are_named(name, root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, RECIPES[name])
    assert len(files_of(path)) >= 7
    for file in files_of(path):
        whole = (path / file).read_bytes()
        named = Path(file).name if file != "CURRENT" else "CURRENT"
        damages = [None, b"", whole[: len(whole) // 2], b"\0" * len(whole)]
        if file.endswith((".npy", ".sqlite")):
            at = len(whole) - 3 if file.endswith(".npy") else whole.index(b"a/001.png")
            damages.append(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        if file == "recipe.toml":
            damages.append(whole.replace(b"seed = 0", b"seed = 1"))
            damages.append(whole + b"\nunknown = 3\n")
        if file == "CURRENT":
            damages += [b"../../etc\n", b"000009\n"]
        for damage in damages:
            if damage is None:
                (path / file).unlink()
            else:
                (path / file).write_bytes(damage)
            with pytest.raises(FormatError) as error:
                Collection.open(path)
            if damage not in (b"000009\n",):
                assert named in str(error.value) or "recipe" in str(error.value), (file, damage)
            (path / file).write_bytes(whole)
    assert Collection.open(path).ntotal == 10


def test_a_damaged_feature_part_is_named(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, COLOUR)
    part = path / "features/part-000002.h5"
    whole = part.read_bytes()
    c = Collection.open(path)
    for damage in (whole[:500], b"", whole[:-8]):
        part.write_bytes(damage)
        with pytest.raises(FormatError, match=r"part-000002\.h5"):
            c.features(5)
    other = tmp_path / "other"
    Collection.build(root, other, RECIPES["vlad"])
    part.write_bytes((other / "features/part-000002.h5").read_bytes())
    with pytest.raises(FormatError, match=r"part-000002\.h5: made under another recipe"):
        c.features(5)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_full_disk_loses_nothing(name, root, tmp_path, monkeypatch):
    """Every write in turn fails; what was there stays, and the next build ends as ever."""
    path = tmp_path / "c"
    Collection.build(root, path, RECIPES[name])
    write_picture(root / "new.png", 70)
    real = atomic.write_file
    failing_at = 0
    while True:
        count = 0
        failing_at += 1

        def full(file, chunks, failing_at=failing_at):
            nonlocal count
            count += 1
            if count == failing_at:
                file.write_bytes(b"half")
                raise OSError(errno.ENOSPC, "No space left on device")
            real(file, chunks)

        for module in [m for m in sys.modules.values() if getattr(m, "write_file", None) is real]:
            monkeypatch.setattr(module, "write_file", full)
        try:
            Collection.build(root, path, RECIPES[name])
        except StorageError as error:
            assert "No space left" in str(error)
            assert Collection.open(path).ntotal in (10, 11)
            assert not [p for p in path.rglob(".tmp-*")]
        else:
            break
        finally:
            monkeypatch.undo()
            monkeypatch.setattr(extraction, "PART_IMAGES", 4)
    assert failing_at > 3
    assert Collection.open(path).ntotal == 11


@posix
def test_files_too_large_for_the_system(root, tmp_path):
    """A limit of the system itself, not a stand-in: no file may exceed 2 kB."""
    code = (
        "import resource, sys\n"
        "from cbir.collection import Collection\n"
        "from cbir.errors import StorageError\n"
        "from tests.small import RECIPES\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    Collection.build(sys.argv[1], sys.argv[2], RECIPES['vlad'])\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    done = run(code, root, tmp_path / "c")
    assert "cannot write" in done.stdout, done.stdout + done.stderr
    Collection.build(root, tmp_path / "c", RECIPES["vlad"])
    Collection.build(root, tmp_path / "d", RECIPES["vlad"])
    assert tree(tmp_path / "c") == tree(tmp_path / "d")


def test_a_folder_that_may_not_be_written(root, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot write"):
        Collection.build(root, tmp_path / "file/c", COLOUR)


def test_every_error_is_ours(root, tmp_path):
    """A random byte changed anywhere never gives anything but a CbirError, or the right answer."""
    import random

    path = tmp_path / "c"
    Collection.build(root, path, RECIPES["bow"])
    expected = Collection.open(path).search(root / "a/001.png", 5)
    draw = random.Random(0)
    for file in files_of(path) * 3:
        whole = (path / file).read_bytes()
        at = draw.randrange(len(whole))
        (path / file).write_bytes(whole[:at] + bytes([draw.randrange(256)]) + whole[at + 1 :])
        try:
            answer = Collection.open(path).search(root / "a/001.png", 5)
            assert (answer.I == expected.I).all(), file
        except CbirError:
            pass
        (path / file).write_bytes(whole)
