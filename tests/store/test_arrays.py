"""Arrays with a manifest: round trip, same bytes, and every way a file can be wrong."""

import errno
import io
import json

import numpy as np
import pytest

from cbir.errors import DTypeError, FormatError, ParameterError, StorageError
from cbir.store import atomic, check_arrays, load_arrays, read_manifest, save_arrays
from cbir.store.arrays import _header

ARRAYS = {
    "x": np.arange(12, dtype=np.float32).reshape(3, 4),
    "ids": np.array([5, 7], np.int64),
    "empty": np.zeros((0, 3), np.float32),
    "flag": np.array([True, False]),
    "scalar": np.array(2.5),
}
PARAMS = {"n": 3, "name": "a", "none": None, "list": [1, 2], "np": np.int64(4)}


@pytest.fixture
def folder(tmp_path):
    save_arrays(tmp_path / "f", kind="demo", params=PARAMS, arrays=ARRAYS)
    return tmp_path / "f"


@pytest.mark.parametrize("mmap", [False, True])
def test_round_trip(folder, mmap):
    params, arrays = load_arrays(folder, kind="demo", mmap=mmap)
    assert params == {**PARAMS, "np": 4}
    assert set(arrays) == set(ARRAYS)
    for name, a in ARRAYS.items():
        assert arrays[name].dtype == a.dtype
        assert arrays[name].shape == a.shape
        np.testing.assert_array_equal(arrays[name], a)


@pytest.mark.parametrize(
    "x",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::2],
        np.arange(6, dtype=">i4"),
        np.broadcast_to(np.float32(1), (2, 2)),
    ],
)
def test_any_memory_layout_comes_back_plain(tmp_path, x):
    save_arrays(tmp_path / "f", kind="demo", params={}, arrays={"x": x})
    back = load_arrays(tmp_path / "f")[1]["x"]
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, x)


def test_same_input_same_bytes_and_replaces(folder, tmp_path):
    save_arrays(tmp_path / "g", kind="demo", params=PARAMS, arrays=dict(reversed(ARRAYS.items())))
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "g" / file.name).read_bytes()
    save_arrays(folder, kind="other", params={}, arrays={})
    assert [p.name for p in folder.iterdir()] == ["manifest.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "g"]


def test_mapped_arrays_outlive_the_folder(folder):
    x = load_arrays(folder, mmap=True)[1]["x"]
    atomic.remove_tree(folder)
    np.testing.assert_array_equal(x, ARRAYS["x"])


@pytest.mark.parametrize("name", ["x.npy", "manifest.json"])
def test_cut_at_any_byte(folder, name):
    whole = (folder / name).read_bytes()
    # The manifest ends in a line feed, which may go without harm.
    for n in range(len(whole) - (name == "manifest.json")):
        (folder / name).write_bytes(whole[:n])
        with pytest.raises(FormatError, match=name):
            load_arrays(folder)


def test_altered_at_any_byte(folder):
    path = folder / "x.npy"
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :])
        with pytest.raises(FormatError, match=r"x\.npy"):
            load_arrays(folder)
    path.write_bytes(whole + b"\0")
    with pytest.raises(FormatError, match="cut or altered"):
        load_arrays(folder)
    path.unlink()
    with pytest.raises(FormatError, match=r"x\.npy"):
        load_arrays(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format_version=99),
        lambda m: m.update(arrays=[]),
        lambda m: m.pop("params"),
        lambda m: m["arrays"]["x"].update(shape=[4, 3]),
        lambda m: m["arrays"]["x"].update(dtype="<f8"),
        lambda m: m["arrays"]["x"].update(file="../x.npy"),
        lambda m: m["arrays"].update({"../../etc": m["arrays"]["x"]}),
        lambda m: m["arrays"].update(y=3),
    ],
)
def test_lying_manifest(folder, change):
    manifest = read_manifest(folder)
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError):
        load_arrays(folder)


def test_pickled_array_is_refused(folder):
    np.save(folder / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match=r"x\.npy"):
        load_arrays(folder)


def test_wrong_kind_and_missing_folder(folder):
    with pytest.raises(FormatError, match="'demo', expected 'flat'"):
        load_arrays(folder, kind="flat")
    with pytest.raises(FormatError, match=r"manifest\.json"):
        load_arrays(folder / "nowhere")


def test_what_cannot_be_stored(tmp_path):
    with pytest.raises(DTypeError, match="object"):
        save_arrays(tmp_path / "f", kind="a", params={}, arrays={"x": np.array([None])})
    with pytest.raises(ParameterError, match="identifier"):
        save_arrays(tmp_path / "f", kind="a", params={}, arrays={"../x": np.zeros(1)})
    with pytest.raises(ParameterError, match="NaN"):
        save_arrays(tmp_path / "f", kind="a", params={"v": float("nan")}, arrays={})
    assert list(tmp_path.iterdir()) == []


def test_full_disk_keeps_the_old(folder, tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        save_arrays(folder, kind="new", params={}, arrays={"x": np.zeros(3)})
    with pytest.raises(StorageError, match="No space left"):
        atomic.atomic_write(tmp_path / "file", b"abc")
    monkeypatch.undo()
    assert load_arrays(folder)[0]["n"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("shape", [(), (0,), (7,), (10**9, 3), (1, 2, 3, 4, 5, 6, 7, 8), (0, 3)])
@pytest.mark.parametrize("dtype", ["<f4", "|b1", "|u1", "<i8", "<f8", "<u2"])
def test_headers_are_those_of_numpy(dtype, shape):
    """And so other programs read the files; but they don't change when NumPy's padding does."""
    theirs = io.BytesIO()
    described = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(theirs, described)
    assert _header(np.dtype(dtype), shape) == theirs.getvalue()


# ---- mapped without being read ----


@pytest.fixture
def large(tmp_path):
    """A folder with one array above the size from which arrays are mapped, and a small one."""
    arrays = {"x": np.arange(300_000, dtype=np.float32).reshape(-1, 3), "ids": np.arange(9)}
    save_arrays(tmp_path / "large", kind="demo", params={}, arrays=arrays)
    return tmp_path / "large"


def alter(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_large_arrays_are_mapped_and_small_ones_read(large):
    arrays = load_arrays(large, mmap=True)[1]
    assert not arrays["x"].flags.writeable and arrays["ids"].flags.writeable
    assert type(arrays["x"]) is np.ndarray
    np.testing.assert_array_equal(arrays["x"].ravel(), np.arange(300_000))
    assert load_arrays(large)[1]["x"].flags.writeable


def test_values_of_mapped_arrays_are_the_business_of_check_arrays(large):
    check_arrays(large)
    alter(large / "x.npy", -5)
    load_arrays(large, mmap=True)
    for call in (check_arrays, load_arrays):
        with pytest.raises(FormatError, match=r"x\.npy: checksum differs"):
            call(large)
    alter(large / "x.npy", -5)
    alter(large / "ids.npy", -5)
    for call in (check_arrays, load_arrays, lambda folder: load_arrays(folder, mmap=True)):
        with pytest.raises(FormatError, match=r"ids\.npy: checksum differs"):
            call(large)


def test_the_header_of_a_mapped_array_is_checked(large):
    path = large / "x.npy"
    whole = path.read_bytes()
    for at in range(128):
        alter(path, at)
        with pytest.raises(FormatError, match=r"x\.npy"):
            load_arrays(large, mmap=True)
        path.write_bytes(whole)
    for other in (whole[:-1], whole + b"\0", whole[: len(whole) // 2], whole[:100], b""):
        path.write_bytes(other)
        with pytest.raises(FormatError, match=r"x\.npy"):
            load_arrays(large, mmap=True)
    path.unlink()
    with pytest.raises(FormatError, match=r"x\.npy: cannot be read"):
        load_arrays(large, mmap=True)


def test_an_array_that_cbir_would_not_write_is_refused(large):
    np.save(large / "x.npy", np.asfortranarray(np.zeros((100_000, 3), np.float32)))
    with pytest.raises(FormatError, match=r"x\.npy"):
        load_arrays(large, mmap=True)
    with (large / "x.npy").open("wb") as file:
        np.lib.format.write_array(file, np.zeros((100_000, 3), np.float32), version=(2, 0))
    with pytest.raises(FormatError, match=r"x\.npy"):
        load_arrays(large, mmap=True)


@pytest.mark.parametrize("name", ["x.npy", "manifest.json"])
def test_check_arrays_finds_a_file_cut_anywhere(folder, name):
    whole = (folder / name).read_bytes()
    check_arrays(folder)
    for n in range(len(whole) - (name == "manifest.json")):
        (folder / name).write_bytes(whole[:n])
        with pytest.raises(FormatError, match=name):
            check_arrays(folder)


# ---- arrays in pieces ----


def test_pieces_are_stored_end_to_end(tmp_path):
    x = np.arange(24, dtype=np.float64).reshape(8, 3)
    save_arrays(tmp_path / "a", kind="demo", params={}, arrays={"x": x})
    pieces = [x[:2], x[2:2], np.asfortranarray(x[2:7]), x[7:]]
    save_arrays(tmp_path / "b", kind="demo", params={}, arrays={"x": pieces})
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    check_arrays(tmp_path / "b")


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], "empty list"),
        ([np.zeros(2), np.zeros(2, np.float32)], "don't belong end to end"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "don't belong end to end"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(tmp_path, pieces, message):
    with pytest.raises(ParameterError, match=message):
        save_arrays(tmp_path / "f", kind="demo", params={}, arrays={"x": pieces})
    assert list(tmp_path.iterdir()) == []
