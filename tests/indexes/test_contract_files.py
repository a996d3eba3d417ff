"""What every index keeps about files and pickle: one suite over the whole registry."""

import itertools
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from cbir.errors import FormatError
from cbir.indexes import INDEXES, load, load_trained
from cbir.store import check_arrays, load_arrays, save_arrays
from tests.indexes.cases import PAIRS, D, equal, lie, make, pick, random_rows

pytestmark = pytest.mark.parametrize(("name", "metric"), PAIRS, ids=["-".join(p) for p in PAIRS])


@pytest.fixture
def all_mapped(monkeypatch):
    """Map even the smallest arrays."""
    monkeypatch.setattr("cbir.store.arrays._MAPPED", 0)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("n", [0, 1, 70])
def test_saved_and_loaded_is_the_same(name, metric, tmp_path, mmap, n):
    index, q = make(name, metric, n), random_rows(name, 9, 1)
    index.remove([0] if n > 1 else [])
    index.save(tmp_path / "index")
    again = INDEXES[name].load(tmp_path / "index", mmap=mmap)
    assert (again.d, again.metric, again.ntotal) == (index.d, index.metric, index.ntotal)
    equal(again.search(q, 8), index.search(q, 8))
    for one in (again, index):
        one.add(random_rows(name, 3, 5))
        one.remove([1])
    np.testing.assert_array_equal(again.ids, index.ids)
    equal(again.search(q, 8), index.search(q, 8))


def test_same_index_gives_the_same_bytes(name, metric, tmp_path):
    for folder in ("a", "b"):
        make(name, metric, 20).save(tmp_path / folder)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_load_reads_the_class_from_the_manifest(name, metric, tmp_path):
    make(name, metric, 5).save(tmp_path / "index")
    assert type(load(tmp_path / "index")) is INDEXES[name]


def test_pickle_carries_the_index(name, metric, tmp_path):
    index, q = make(name, metric, 25, ids=np.arange(25) * 3), random_rows(name, 8, 1)
    again = pickle.loads(pickle.dumps(index))
    equal(again.search(q, 5), index.search(q, 5))
    index.save(tmp_path / "index")
    mapped = INDEXES[name].load(tmp_path / "index", mmap=True)
    equal(pickle.loads(pickle.dumps(mapped)).search(q, 5), index.search(q, 5))
    again.add(random_rows(name, 1))
    assert again.ids[-1] == 73


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_missing_or_cut_or_altered_file_is_named(name, metric, tmp_path):
    make(name, metric, 5).save(tmp_path / "good")
    for file in files(tmp_path / "good"):
        whole = (tmp_path / "good" / file).read_bytes()
        for broken in (None, whole[:-2], whole[: len(whole) // 2], b"", whole[:-3] + b"\0\1\2"):
            folder = tmp_path / "bad"
            make(name, metric, 5).save(folder)
            if broken is None:
                (folder / file).unlink()
            else:
                (folder / file).write_bytes(broken)
            for call in (INDEXES[name].load, load):
                with pytest.raises(FormatError, match=file.replace(".", r"\.")):
                    call(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda ids: ids[:-1],
        lambda ids: ids.astype(np.int32),
        lambda ids: ids * 0,
        lambda ids: ids - 1,
        lambda ids: ids + 10**9,
        lambda ids: ids[:, None],
    ],
)
def test_lying_ids_are_refused(name, metric, tmp_path, change):
    make(name, metric, 5).save(tmp_path / "index")
    lie(tmp_path / "index", "ids", change)
    with pytest.raises(FormatError, match=r"ids\.npy"):
        load(tmp_path / "index")


@pytest.mark.parametrize("key", ["d", "options", "metric", "next_id", "rising"])
def test_lying_or_missing_parameters_are_refused(name, metric, tmp_path, key):
    for value in (None, -1, "many"):
        make(name, metric, 5).save(tmp_path / "index")
        path = tmp_path / "index" / "manifest.json"
        manifest = json.loads(path.read_text())
        where = manifest["params"]
        (where["options"] if key == "metric" else where)[key] = value
        path.write_text(json.dumps(manifest))
        with pytest.raises(FormatError, match=r"manifest\.json"):
            load(tmp_path / "index")


def test_another_width_in_the_manifest_is_refused(name, metric, tmp_path):
    make(name, metric, 5).save(tmp_path / "index")
    path = tmp_path / "index" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["params"]["d"] = 3
    path.write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match=r"\.npy"):
        load(tmp_path / "index")


def test_another_class_is_refused(name, metric, tmp_path):
    make(name, metric, 5).save(tmp_path / "index")
    path = tmp_path / "index" / "manifest.json"
    path.write_text(path.read_text().replace(f'"kind": "{name}"', '"kind": "vine"'))
    for call in (INDEXES[name].load, load):
        with pytest.raises(FormatError, match=r"manifest\.json.*'vine'"):
            call(tmp_path / "index")


# ---- trained state and rows apart; mapped ----


@pytest.mark.parametrize("mmap", [False, True])
def test_trained_state_and_rows_apart(name, metric, tmp_path, mmap):
    index, q = make(name, metric, 70), random_rows(name, 9, 1)
    index.remove([5])
    index.save_trained(tmp_path / "model")
    index.save_rows(tmp_path / "rows")
    empty = load_trained(tmp_path / "model")
    assert type(empty) is INDEXES[name] and empty.ntotal == 0 and empty.metric == metric
    again = empty.load_rows(tmp_path / "rows", mmap=mmap)
    assert empty.ntotal == 0 and again.ntotal == 69 and again.n_removed == 1
    equal(again.search(q, 8), index.search(q, 8))
    again.add(random_rows(name, 2, 3))
    index.add(random_rows(name, 2, 3))
    equal(again.search(q, 80), index.search(q, 80))


def test_the_parts_of_a_file_are_not_taken_for_each_other(name, metric, tmp_path):
    index = make(name, metric, 3)
    index.save(tmp_path / "whole")
    index.save_trained(tmp_path / "model")
    index.save_rows(tmp_path / "rows")
    for folder, call in (
        ("rows", load),
        ("model", load),
        ("whole", load_trained),
        ("rows", load_trained),
        ("whole", index.load_rows),
        ("model", index.load_rows),
        ("model", INDEXES[name].load),
        ("whole", INDEXES[name].load_trained),
    ):
        with pytest.raises(FormatError, match=r"manifest\.json"):
            call(tmp_path / folder)


@pytest.mark.parametrize("key", ["d", "options", "knobs"])
def test_lying_parameters_of_a_trained_state_are_refused(name, metric, tmp_path, key):
    for value in (None, -1, "many", {"metric": "none"}):
        make(name, metric).save_trained(tmp_path / "model")
        path = tmp_path / "model" / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["params"][key] = value
        path.write_text(json.dumps(manifest))
        with pytest.raises(FormatError, match=r"manifest\.json"):
            load_trained(tmp_path / "model")


def test_names_of_arrays_are_checked(name, metric, tmp_path):
    index = make(name, metric, 40)
    index.save_trained(tmp_path / "model")
    index.save_rows(tmp_path / "rows")
    for folder, call in (("model", load_trained), ("rows", index.load_rows)):
        params, arrays = load_arrays(tmp_path / folder)
        kind = json.loads((tmp_path / folder / "manifest.json").read_text())["kind"]
        for changed in (
            {**arrays, "more": np.zeros(3)},
            {key: a for key, a in arrays.items() if key != max(arrays)} if arrays else None,
            {key: a for key, a in arrays.items() if key != "ids"} if arrays else None,
        ):
            if changed is not None:
                save_arrays(tmp_path / folder, kind=kind, params=params, arrays=changed)
                with pytest.raises(FormatError, match=r"manifest\.json: holds"):
                    call(tmp_path / folder)


def test_rows_of_an_index_with_other_parameters_are_refused(name, metric, tmp_path):
    make(name, metric, 3).save_rows(tmp_path / "rows")
    other = next(m for n, m in PAIRS if n == name and m != metric)
    for index in (INDEXES[name](D + 1, metric=metric), make(name, other)):
        with pytest.raises(FormatError, match=r"manifest\.json: rows of an index with"):
            index.load_rows(tmp_path / "rows")


def test_a_mapped_index_gives_the_same_answers(name, metric, tmp_path, all_mapped):
    rows, q = random_rows(name, 9000), random_rows(name, 100, 1)
    index = INDEXES[name](D, metric=metric)
    index.add(rows)
    index.save(tmp_path / "index")
    mapped = load(tmp_path / "index", mmap=True)
    few = np.arange(0, 9000, 500)
    for nq in (1, 100):
        some = pick(q, np.arange(nq))
        equal(mapped.search(some, 7), index.search(some, 7))
        equal(mapped.search(some, 7, allowed=few), index.search(some, 7, allowed=few))
        equal(mapped.range_search(some, 0.5), index.range_search(some, 0.5))
        np.testing.assert_array_equal(mapped.score(some, few), index.score(some, few))
    mapped.add(random_rows(name, 1, 9))
    index.add(random_rows(name, 1, 9))
    equal(mapped.search(q, 7), index.search(q, 7))


def test_the_same_rows_give_the_same_bytes_however_they_came(name, metric, tmp_path):
    rows = random_rows(name, 9000)
    for folder, cuts in (("a", [0, 9000]), ("b", [0, 1, 8000, 8191, 8192, 8193, 8999, 9000])):
        index = INDEXES[name](D, metric=metric)
        for begin, end in itertools.pairwise(cuts):
            index.add(pick(rows, np.arange(begin, end)))
        index.save(tmp_path / folder)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_adding_nothing_to_a_mapped_index(name, metric, tmp_path, all_mapped):
    """Rows without words have no entries: nothing may be written into the mapped arrays."""
    index = make(name, metric, 40)
    index.save(tmp_path / "index")
    mapped = load(tmp_path / "index", mmap=True)
    mapped.add(random_rows(name, 0))
    mapped.add(pick(random_rows(name, 1), [0, 0]) if name == "flat" else empty_rows(2))
    assert mapped.ntotal == 42
    assert (np.sort(mapped.search(random_rows(name, 1), 42).I) == np.arange(42)).all()


def empty_rows(n):
    from cbir.types import SparseVectors

    return SparseVectors.from_dense(np.zeros((n, D), np.float32))


def test_a_mapped_file_that_is_cut_or_missing_is_named(name, metric, tmp_path, all_mapped):
    for file in files_of(name, metric, tmp_path / "good"):
        for size in (None, 0, 5, 100, -1, 1):
            make(name, metric, 40).save(tmp_path / "bad")
            path = tmp_path / "bad" / file
            if size is None:
                path.unlink()
            elif size == 1:
                path.write_bytes(path.read_bytes() + b"\0")
            else:
                path.write_bytes(path.read_bytes()[:size])
            with pytest.raises(FormatError, match=file.replace(".", r"\.")):
                load(tmp_path / "bad", mmap=True)


def files_of(name, metric, folder):
    make(name, metric, 40).save(folder)
    return [f for f in files(folder) if f.endswith(".npy")]


def test_check_arrays_finds_what_a_mapped_index_does_not(name, metric, tmp_path, all_mapped):
    for file in files_of(name, metric, tmp_path / "index"):
        path = tmp_path / "index" / file
        whole = path.read_bytes()
        if len(whole) == 128:
            continue  # a header without values
        check_arrays(tmp_path / "index")
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        load_arrays(tmp_path / "index", mmap=True)
        with pytest.raises(FormatError, match=file.replace(".", r"\.")):
            check_arrays(tmp_path / "index")
        path.write_bytes(whole)


def test_a_corrupt_map_harms_nobody(name, metric):
    """Bytes altered under an open index: wrong answers are allowed, a crash is not."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.indexes.corrupting", name, metric],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "asked" in done.stdout


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads Linux's /proc")
def test_opening_a_mapped_index_touches_no_rows(name, metric, tmp_path):
    if name != "flat":
        pytest.skip("rows of an inverted file can't be written as one sparse file")
    index = make(name, metric, 2)
    index.save(tmp_path / "index")
    path = tmp_path / "index" / "manifest.json"
    manifest, n = json.loads(path.read_text()), 1_000_000
    for array, width in (("x", D), ("ids", 1)):
        entry, file = manifest["arrays"][array], tmp_path / "index" / f"{array}.npy"
        dtype = np.dtype(entry["dtype"])
        entry["shape"] = [n, width] if array == "x" else [n]
        np.save(file, np.zeros([0, *entry["shape"][1:]], dtype))
        header = {"descr": dtype.str, "fortran_order": False, "shape": tuple(entry["shape"])}
        with file.open("wb") as stream:  # a hole: it takes no space and reads as zeros
            np.lib.format.write_array_header_1_0(stream, header)
            stream.truncate(stream.tell() + n * width * dtype.itemsize)
    manifest["params"]["next_id"] = n
    path.write_text(json.dumps(manifest))

    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    before = resident()
    opened = load(tmp_path / "index", mmap=True)
    assert opened.ntotal == n
    assert resident() - before < 1 << 20, "of 104 MB"
