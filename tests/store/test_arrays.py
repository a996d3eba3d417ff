"""Arrays with a manifest: round trip, same bytes, and every way a file can be wrong."""

import errno
import json

import numpy as np
import pytest

from cbir.errors import DTypeError, FormatError, ParameterError, StorageError
from cbir.store import atomic, load_arrays, read_manifest, save_arrays

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
