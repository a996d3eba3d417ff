"""The catalogue: generations, what readers keep, damage, kills inside a transaction."""

import os
import shutil
import signal
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest

from cbir.errors import FormatError
from cbir.store import (
    Catalogue,
    Comparison,
    Generation,
    ImageRow,
    PartRow,
    Publication,
    SegmentRow,
    create_catalogue,
    live_seal,
    note_times,
)

posix = pytest.mark.skipif(os.name == "nt", reason="needs fork")


def row(i, **changes):
    values = {
        "id": i,
        "path": f"a/ü {i}\n.jpg",
        "hash": bytes([i % 256]) * 32,
        "bytes": 10,
        "mtime_ns": 1_700_000_000_123_456_789,
        "width": 3,
        "height": 4,
        "state": "ok",
        "error": None,
        "passing": False,
        "part": 1,
        "row": i,
    }
    return ImageRow(**{**values, **changes})


def failed(i, **changes):
    return row(i, state="failed", error="broken", part=0, row=0, **changes)


SEGMENT = SegmentRow("main", 1, 0, 2, 3, 99, "ab" * 32, 1)


@pytest.fixture
def path(tmp_path):
    """Generation 1: images 0 to 2, of which 0 has a label, and 3 that failed."""
    file = tmp_path / "catalogue.sqlite"
    create_catalogue(file)
    with Publication(file) as p:
        p.add([row(0), row(1), row(2), failed(3, passing=True)], {0: "cat"})
        p.add_segment(SEGMENT)
        p.add_part(PartRow("f" * 64, 1, 3, 30, 7, "cd" * 32))
        p.next_id, p.next_part, p.next_segment = 4, 2, 2
        p.facts["image_root"] = "/a"
    return file


def test_an_empty_one(tmp_path):
    create_catalogue(tmp_path / "c")
    c = Catalogue(tmp_path / "c")
    assert c.generation._replace(seal="") == Generation()
    assert c.tally() == c.generation.tally
    assert list(c.indexed_ids()) == []


def test_what_was_published_is_read(path):
    c = Catalogue(path)
    assert c.generation[:7] == (1, 4, 2, 2, 3, 1, 0)
    assert c.facts == {"image_root": "/a"}
    assert c.images([2, 3, 9]) == {2: row(2), 3: failed(3, passing=True)}
    assert c.paths([1]) == {1: row(1).path}
    assert c.labels([0, 1]) == {0: "cat"}
    assert c.find([row(1).path, "nowhere"]) == {row(1).path: 1}
    np.testing.assert_array_equal(c.indexed_ids(), [0, 1, 2])
    assert c.failed() == [failed(3, passing=True)]
    assert c.segments("main") == [SEGMENT]
    assert c.parts() == [PartRow("f" * 64, 1, 3, 30, 7, "cd" * 32)]
    assert (c.bytes_of("segments"), c.bytes_of("parts")) == (99, 7)
    assert c.check() == []
    assert c.tally() == c.generation.tally


def test_a_reader_keeps_the_generation_that_it_opened(path):
    old = Catalogue(path)
    with Publication(path) as p:
        p.kill([0, 3])
        p.relabel({1: "dog", 2: None})
        p.add([row(4, path=row(0).path)], {4: "bird"})
        p.drop_segment("main", 1)
        p.add_segment(SEGMENT._replace(number=2, last_id=4))
        p.next_id, p.next_segment = 5, 3
    new = Catalogue(path)
    assert (old.generation.number, new.generation.number) == (1, 2)
    assert live_seal(path) == new.generation.seal != old.generation.seal
    assert new.generation[4:7] == (3, 0, 2)
    assert old.find([row(0).path]) == {row(0).path: 0}
    assert new.find([row(0).path]) == {row(0).path: 4}
    assert (old.labels(range(9)), new.labels(range(9))) == ({0: "cat"}, {1: "dog", 4: "bird"})
    np.testing.assert_array_equal(old.indexed_ids(), [0, 1, 2])
    np.testing.assert_array_equal(new.indexed_ids(), [1, 2, 4])
    assert old.paths([4]) == {}  # born later
    assert new.paths([0]) == {0: row(0).path}  # dead, and still explained
    assert (len(old.failed()), len(new.failed())) == (1, 0)
    assert [one.number for one in new.segments("main")] == [2]
    np.testing.assert_array_equal(new.masked(SEGMENT), [0])  # in the segment, and gone since
    assert list(old.masked(SEGMENT)) == []
    assert (old.count_labels(), new.count_labels()) == (1, 2)
    assert new.tally() == new.generation.tally


def test_what_died_long_ago_is_forgotten(path):
    with Publication(path) as p:
        p.drop_segment("main", 1)
        p.drop_part("f" * 64, 1)
    for number in (3, 4):
        with Publication(path) as p:
            assert p.number == number
    c = Catalogue(path)
    assert c.rows("SELECT COUNT(*) FROM segments") == [(0,)]
    assert c.rows("SELECT COUNT(*) FROM parts") == [(0,)]
    assert c.rows("SELECT number FROM generations") == [(3,), (4,)]
    assert c.tally() == c.generation.tally


def test_an_error_inside_leaves_everything(path):
    with pytest.raises(KeyError), Publication(path) as p:
        p.kill([0])
        raise KeyError
    c = Catalogue(path)
    assert (c.generation.number, len(c.indexed_ids())) == (1, 3)


def test_the_same_changes_give_the_same_tally(path, tmp_path):
    again = tmp_path / "again.sqlite"
    create_catalogue(again)
    rows = [row(0, mtime_ns=5), row(1), row(2), failed(3, passing=True)]
    with Publication(again) as p:
        p.add(reversed(rows), {0: "cat"})
        p.add_segment(SEGMENT)
        p.add_part(PartRow("f" * 64, 1, 3, 30, 7, "cd" * 32))
    assert Catalogue(again).generation.tally == Catalogue(path).generation.tally
    note_times(again, [(0, 77)])
    c = Catalogue(again)
    assert c.images([0])[0].mtime_ns == 77
    assert (c.generation.number, c.tally()) == (1, c.generation.tally)
    with Publication(again) as p:
        p.relabel({0: "other"})
    assert Catalogue(again).generation.tally != Catalogue(path).generation.tally


def test_compared_with_a_scan(path):
    at = row(0).mtime_ns
    found = [
        (row(0).path, 10, at, "cat"),
        (row(1).path, 11, at, "cat"),
        ("new.jpg", 1, 1, None),
        (row(3).path, 10, at, None),
    ]
    c = Catalogue(path)
    with Comparison(c, found) as compared:
        assert compared.new() == [2]
        assert [(d.n, d.id, d.same_stat) for d in compared.differing()] == [
            (1, 1, False),
            (3, 3, True),  # a failure that may have passed
        ]
        assert len(compared.differing(all_of_them=True)) == 3
        assert compared.relabelled() == {1: "cat"}
        assert compared.lacking() == [(2, row(2).path)]
        assert compared.failed() == [(row(3).path, "broken")]
    with Comparison(c, []) as compared:  # again on the same catalogue
        assert len(compared.lacking()) == 4


def test_two_images_of_one_path_are_told(path):
    assert Catalogue(path).repeated_paths() == []
    with Publication(path) as p:
        p.add([row(4, path=row(0).path)], {})
    assert Catalogue(path).repeated_paths() == [row(0).path]


def test_cut_and_altered(path):
    whole = path.read_bytes()
    expected = Catalogue(path).tally()
    for n in [0, 1, 15, 100, 1000, 4096, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:n])
        with pytest.raises(FormatError, match=r"catalogue\.sqlite"):
            Catalogue(path)
    draw = np.random.default_rng(0)
    noticed = 0
    for at in draw.integers(0, len(whole), 400).tolist():
        path.write_bytes(
            whole[:at] + bytes([whole[at] ^ int(draw.integers(1, 256))]) + whole[at + 1 :]
        )
        try:
            c = Catalogue(path)
            fine = not c.check() and c.tally() == c.generation.tally
            assert not fine or c.generation.tally == expected
            c.images(range(4)), c.labels(range(4)), c.find([row(0).path]), c.parts()
        except FormatError as error:
            assert "catalogue.sqlite" in str(error)
            noticed += 1
    assert noticed > 10
    path.unlink()
    with pytest.raises(FormatError, match="no such file"):
        Catalogue(path)


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("UPDATE facts SET value = '/b'", "open"),
        ("UPDATE segments SET first_id = 1", "open"),
        ("UPDATE generations SET indexed = 7", "open"),
        ("PRAGMA application_id = 7", "open"),
        ("PRAGMA user_version = 99", "open"),
        ("UPDATE images SET path = 'x' WHERE id = 0", "tally"),
        ("UPDATE images SET died = 1 WHERE id = 0", "tally"),
        ("UPDATE labels SET label = 'x'", "tally"),
        ("DELETE FROM parts", "tally"),
    ],
)
def test_whoever_changes_a_value_is_found_out(path, sql, where):
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()
    if where == "open":
        with pytest.raises(FormatError, match=r"catalogue\.sqlite"):
            Catalogue(path)
    else:
        c = Catalogue(path)
        assert c.tally() != c.generation.tally


def in_child(function):
    """Run a function in a forked child; give what the child exits with."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = function()
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def die_in_the_middle(path):
    with Publication(path) as p:
        p._connection.execute("PRAGMA cache_size = 2")  # spills into the file
        p.add([row(i) for i in range(4, 3000)], {})
        os.kill(os.getpid(), signal.SIGKILL)


@posix
def test_a_reader_undoes_what_a_killed_writer_left_half_done(path):
    assert os.WIFSIGNALED(in_child(lambda: die_in_the_middle(path)))
    assert os.path.exists(f"{path}-journal")
    c = Catalogue(path)
    assert (c.generation.number, list(c.indexed_ids())) == (1, [0, 1, 2])
    assert c.tally() == c.generation.tally


@posix
def test_whoever_may_only_read_reads(path):
    folder = Path(tempfile.mkdtemp(prefix="cbir-readonly-"))  # pytest's own are closed to others
    file = folder / "catalogue.sqlite"
    shutil.copy(path, file)

    def as_nobody(expected):
        def look():
            if os.getuid() == 0:  # root may write anywhere
                os.setuid(65534)
            try:
                return int(Catalogue(file).generation.number != 1 or expected is not None)
            except FormatError as error:
                return int(expected is None or expected not in str(error))

        file.chmod(0o444)
        folder.chmod(0o555)
        status = in_child(look)
        folder.chmod(0o755)
        file.chmod(0o644)
        return status

    try:
        assert as_nobody(None) == 0
        assert os.WIFSIGNALED(in_child(lambda: die_in_the_middle(file)))
        os.chmod(f"{file}-journal", 0o444)
        assert as_nobody("a writer was killed while it published") == 0
    finally:
        shutil.rmtree(folder)


@posix
def test_after_a_fork(path):
    c = Catalogue(path)
    assert in_child(lambda: int(c.paths([1]) != {1: row(1).path})) == 0
    assert c.paths([1]) == {1: row(1).path}


def test_from_many_threads(path):
    from concurrent.futures import ThreadPoolExecutor

    c = Catalogue(path)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: c.paths([1])[1], range(200))) == [row(1).path] * 200
