"""A collection under attack: full disks, two writers, readers meanwhile, damaged files."""

import contextlib
import errno
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from cbir.collection import Collection, extraction
from cbir.errors import CbirError, FormatError, LockError, ParameterError, StorageError
from cbir.features import Sift
from cbir.pipeline import Channel
from cbir.recipe import Recipe
from cbir.store import Publication, WriterLock, atomic
from tests.small import RECIPES, content, write_picture, write_pictures

posix = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")
COLOUR = RECIPES["colour"]
SLOW = bool(os.environ.get("CBIR_SLOW_TESTS"))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(extraction, "PART_IMAGES", 4)


@pytest.fixture
def root(tmp_path):
    return write_pictures(tmp_path / "photos")


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


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
            c.compact,
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
        Collection.build(root, path, COLOUR, prune=True)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong, wrong[0]
    assert len(seen) > 1


def test_open_before_a_build_has_finished(root, tmp_path):
    with pytest.raises(FormatError, match="no such collection; build it first"):
        Collection.open(tmp_path / "nowhere")
    (tmp_path / "c").mkdir()
    with pytest.raises(FormatError, match="no collection here"):
        Collection.open(tmp_path / "c")
    with pytest.raises(ParameterError, match="n_words"):
        Collection.build(root, tmp_path / "c", Recipe.load("bow", ["vocabulary.n_words=20000"]))
    with pytest.raises(FormatError, match="run it again if it was stopped"):
        Collection.open(tmp_path / "c")


def test_a_model_that_a_killed_build_has_fitted_is_taken_over(root, tmp_path, monkeypatch):
    path = tmp_path / "c"

    def die(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(Publication, "__enter__", die)
        with pytest.raises(KeyboardInterrupt):
            Collection.build(root, path, RECIPES["bow"])
    with pytest.raises(FormatError, match="run it again if it was stopped"):
        Collection.open(path)
    with monkeypatch.context() as m:
        m.setattr(Channel, "fit", None)
        m.setattr(Sift, "extract", None)
        assert Collection.build(root, path, RECIPES["bow"]).indexed == 10
    Collection.build(root, tmp_path / "d", RECIPES["bow"])
    assert content(path) == content(tmp_path / "d")


def test_odd_names_and_another_working_directory(root, tmp_path, monkeypatch):
    """What SQLite's addresses, and relative paths, could stumble over."""
    name = "c ?mode=memory&x#%41 ü\n.cbir"
    monkeypatch.chdir(tmp_path)
    Collection.build("photos", name, COLOUR)
    c = Collection.open(name)
    monkeypatch.chdir(root)
    assert not c.refresh()
    c.remove([0])
    assert c.update().added == 1
    assert len(c.features(3)) == 64
    assert Collection.check(tmp_path / name).ok
    assert sorted(p.name for p in tmp_path.iterdir()) == [name, "photos"]


def files_of(path):
    return sorted(
        p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file() and p.name != "lock"
    )


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_missing_cut_and_zeroed_files_are_named(name, root, tmp_path):
    """Whatever opening reads is named by it; all else, down to the last byte, by a check."""
    path = tmp_path / "c"
    Collection.build(root, path, RECIPES[name])
    names = files_of(path)
    assert len(names) >= 9
    for file in names:
        whole = (path / file).read_bytes()
        for damage in (None, b"", whole[: len(whole) // 2], whole[:-1], b"\0" * len(whole)):
            if damage is None:
                (path / file).unlink()
            else:
                (path / file).write_bytes(damage)
            if not file.startswith("features"):
                with pytest.raises(FormatError) as error:
                    Collection.open(path)
                assert Path(file).name in str(error.value) or Path(file).parts[0] in str(
                    error.value
                ), (file, damage)
            if file == "CBIR":
                with pytest.raises(FormatError, match="CBIR"):
                    Collection.check(path)
            else:
                assert not Collection.check(path).ok, (file, damage)
            (path / file).write_bytes(whole)
    assert Collection.open(path).ntotal == 10
    assert Collection.check(path).ok


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("recipe.toml", b"seed = 0", b"seed = 1"),
        ("recipe.toml", b"max_side", b"max_size"),
        ("CBIR", b"format 2", b"format 3"),
        ("index/main/segment-000001/manifest.json", b'"d"', b'"e"'),
        ("model/main/index/manifest.json", b'"d"', b'"e"'),
    ],
)
def test_lying_files(file, old, new, root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, COLOUR)
    whole = (path / file).read_bytes()
    assert old in whole
    (path / file).write_bytes(whole.replace(old, new))
    with pytest.raises(FormatError) as error:
        Collection.open(path)
    assert Path(file).parts[0] in str(error.value)


def test_a_segment_of_another_collection_is_noticed(root, tmp_path):
    Collection.build(root, tmp_path / "c", COLOUR)
    write_picture(root / "a/001.png", 99)
    Collection.build(root, tmp_path / "d", COLOUR)
    for what in ("index/main/segment-000001", "features"):
        shutil.rmtree(tmp_path / "c" / what)
        shutil.copytree(tmp_path / "d" / what, tmp_path / "c" / what)
        assert not Collection.check(tmp_path / "c").ok
    with pytest.raises(FormatError, match="not the one that the catalogue names"):
        Collection.open(tmp_path / "c")


def test_a_damaged_feature_part_is_named(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, COLOUR)
    (part,) = path.glob("features/*/part-000002.h5")
    whole = part.read_bytes()
    c = Collection.open(path)
    for damage in (whole[:500], b""):
        part.write_bytes(damage)
        with pytest.raises(FormatError, match=r"part-000002\.h5"):
            c.features(5)
    other = tmp_path / "other"
    Collection.build(root, other, RECIPES["vlad"])
    (foreign,) = other.glob("features/*/part-000002.h5")
    part.write_bytes(foreign.read_bytes())
    with pytest.raises(FormatError, match=r"part-000002\.h5: made under another recipe"):
        c.features(5)
    part.write_bytes(part.with_name("part-000001.h5").read_bytes())
    with pytest.raises(FormatError, match="row 1 is of image 1, not 5"):
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
    assert content(tmp_path / "c") == content(tmp_path / "d")


def test_a_folder_that_may_not_be_written(root, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot write"):
        Collection.build(root, tmp_path / "file/c", COLOUR)


@posix
@pytest.mark.parametrize("piece", ["features", "model", "index/main", "recipe.toml", "", "CBIR"])
def test_what_may_not_be_read_is_named(piece, root):
    """As another user, whom the system refuses; root is refused nothing."""
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "c"
        Collection.build(root, path, COLOUR)
        Path(work).chmod(0o755)
        (path / piece).chmod(0)
        pid = os.fork()
        if pid == 0:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            told = []
            for ask in (
                lambda: Collection.open(path).features(0),
                lambda: told.extend(Collection.check(path).problems),
            ):
                try:
                    ask()
                except CbirError as error:
                    told.append(str(error))
                except BaseException:
                    os._exit(1)
            os._exit(0 if len(told) >= 2 and all("cannot be read" in t for t in told) else 2)
        assert os.waitpid(pid, 0)[1] == 0
        (path / piece).chmod(0o755)


@pytest.mark.parametrize(
    "column",
    ["facts.key", "parts.number", "parts.bytes", "parts.images", "images.row", "images.path"],
)
def test_values_of_another_type_in_the_catalogue(column, root, tmp_path):
    """SQLite keeps whatever is put into a column: none of it may surprise us."""
    path, copy = tmp_path / "c", tmp_path / "copy"
    Collection.build(root, path, COLOUR)
    Collection.open(path).remove([3])
    table, name = column.split(".")
    for value in (b"\xff", "x", 1.5, float("inf"), -(2**40)):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy)
        connection = sqlite3.connect(copy / "catalogue.sqlite")
        connection.execute(f"UPDATE OR IGNORE {table} SET {name} = ?", (value,))
        connection.commit()
        connection.close()
        for do in (
            lambda: Collection.check(copy),
            lambda: Collection.open(copy).info(),
            lambda: Collection.open(copy).paths(range(10)),
            lambda: Collection.open(copy).features(9),
            lambda: Collection.open(copy).update(),
            lambda: Collection.open(copy).compact(),
        ):
            with contextlib.suppress(CbirError):
                do()


def test_any_byte_altered_is_told_or_makes_no_difference(root, tmp_path):
    """A byte changed anywhere: an error of ours, the right answer, or a check that names it."""
    path = tmp_path / "c"
    Collection.build(root, path, RECIPES["bow"], labels="folders")
    Collection.open(path).remove([3])
    expected = everything(path, root)
    draw = random.Random(0)
    for file in files_of(path) * (40 if SLOW else 4):
        whole = (path / file).read_bytes()
        at = draw.randrange(len(whole))
        byte = bytes([whole[at] ^ draw.randrange(1, 256)])
        (path / file).write_bytes(whole[:at] + byte + whole[at + 1 :])
        try:
            same = everything(path, root) == expected
        except CbirError:
            same = True
        if not same:
            assert not Collection.check(path).ok, (file, at)
        (path / file).write_bytes(whole)


def everything(path, root):
    c = Collection.open(path)
    D, I = c.search(root / "a/001.png", 12)
    stored = [c.features(i).descriptors.tobytes() for i in (0, 9)]
    ids = c.ids
    return (D.tolist(), I.tolist(), ids.tolist(), c.paths(ids), c.labels(ids), stored, c.ntotal)
