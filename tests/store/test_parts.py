"""Feature parts: the documented HDF5 layout, round trip, same bytes, slices, wrong files."""

import time

import h5py
import numpy as np
import pytest

from cbir.errors import FormatError
from cbir.store import FeaturePart, read_features
from cbir.types import LocalFeatures

HASH = "f" * 64
STAMP = {"feature_hash": HASH, "cbir_version": "0.1.0"}


def local(n, seed=0, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    return LocalFeatures(rng.random((n, 4), np.float32), rng.integers(0, 255, (n, 8)).astype(dtype))


STORED = {
    "local": [local(2), local(0), local(3, 1)],
    "global": [np.full(4, i, np.float32) for i in range(3)],
    "maps": [np.random.default_rng(i).random((2, i + 1, 5), np.float32) for i in range(3)],
}


def part_of(stored):
    return FeaturePart.of(
        ids=[4, 6, 9],
        labels=["a", "", "ü"],
        hashes=[bytes([i]) * 32 for i in range(3)],
        sizes=[(3, 4), (5, 6), (7, 8)],
        stored=stored,
    )


def assert_same(a, b):
    if isinstance(a, LocalFeatures):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
        a, b = a.descriptors, b.descriptors
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", sorted(STORED))
def test_round_trip_slices_and_same_bytes(kind, tmp_path):
    part = part_of(STORED[kind])
    checksum = part.write(tmp_path / "a.h5", **STAMP)
    time.sleep(1.1)  # a time stamp in the file would show
    part.write(tmp_path / "b.h5", **STAMP)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    back = FeaturePart.read(tmp_path / "a.h5", feature_hash=HASH, checksum=checksum)
    assert len(back) == 3
    assert back.n_rows == {"local": 5, "global": 3, "maps": 12}[kind]
    for name, value in vars(part).items():
        np.testing.assert_equal(getattr(back, name), value, name)
    found = read_features(tmp_path / "a.h5", [2, 0, 1, 2], feature_hash=HASH)
    assert [i for i, _ in found] == [9, 4, 6, 9]
    for (_, one), row in zip(found, (2, 0, 1, 2), strict=True):
        assert_same(one, STORED[kind][row])
        assert_same(back.stored(row), STORED[kind][row])
    for row in (3, -1):
        with pytest.raises(FormatError, match=rf"a\.h5: has no row {row}"):
            read_features(tmp_path / "a.h5", [row], feature_hash=HASH)


def test_blank_pictures_have_no_say_in_the_type():
    blank = local(0, dtype=np.float32)
    assert part_of([blank, local(2), local(1)]).descriptors.dtype == np.uint8
    assert part_of([blank, local(2), local(1, dtype=np.float32)]).descriptors.dtype == np.float32
    assert part_of([blank, blank, blank]).descriptors.shape == (0, 8)


def test_layout_is_the_documented_one(tmp_path):
    part_of(STORED["local"]).write(tmp_path / "a.h5", **STAMP)
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {
            "image_ids", "labels", "hashes", "sizes", "keypoints", "descriptors", "offsets"
        }  # fmt: skip
        assert file.attrs["feature_hash"] == HASH
        assert file["labels"][0] == b"a"
    part_of(STORED["global"]).write(tmp_path / "b.h5", **STAMP)
    with h5py.File(tmp_path / "b.h5") as file:
        assert set(file) == {"image_ids", "labels", "hashes", "sizes", "features"}
    part_of(STORED["maps"]).write(tmp_path / "c.h5", **STAMP)
    with h5py.File(tmp_path / "c.h5") as file:
        assert file["grids"][:].tolist() == [[2, 1], [2, 2], [2, 3]]


def test_another_recipe_is_refused(tmp_path):
    part_of(STORED["local"]).write(tmp_path / "a.h5", **STAMP)
    with pytest.raises(FormatError, match="another recipe"):
        FeaturePart.read(tmp_path / "a.h5", feature_hash="abd")
    with pytest.raises(FormatError, match="another recipe"):
        read_features(tmp_path / "a.h5", [0], feature_hash="abd")
    with pytest.raises(FormatError, match="checksum"):
        FeaturePart.read(tmp_path / "a.h5", checksum="0" * 64)


@pytest.mark.parametrize("kind", sorted(STORED))
def test_cut_altered_missing(kind, tmp_path):
    path = tmp_path / "a.h5"
    part = part_of(STORED[kind])
    part.write(path, **STAMP)
    whole = path.read_bytes()
    for n in [0, 1, 8, 100, 2000, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:n])
        with pytest.raises(FormatError, match=r"a\.h5"):
            FeaturePart.read(path)
    for target in (part.descriptors, part.keypoints, part.offsets, part.image_ids, part.features):
        if target is not None:
            at = whole.index(target.tobytes())
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(FormatError, match=r"a\.h5"):
                FeaturePart.read(path)
    path.unlink()
    for read in (FeaturePart.read, lambda p: read_features(p, [0], feature_hash=HASH)):
        with pytest.raises(FormatError, match=r"a\.h5: cannot be read"):
            read(path)


@pytest.mark.parametrize("kind", sorted(STORED))
def test_any_byte_altered_never_gives_another_error(kind, tmp_path):
    path = tmp_path / "a.h5"
    part_of(STORED[kind]).write(path, **STAMP)
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    for at in draw.integers(0, len(whole), 150).tolist():
        path.write_bytes(whole[:at] + bytes([int(draw.integers(256))]) + whole[at + 1 :])
        for read in (FeaturePart.read, lambda p: read_features(p, [0, 2], feature_hash=HASH)):
            try:
                read(path)
            except FormatError as error:
                assert "a.h5" in str(error)


def test_arrays_that_do_not_fit(tmp_path):
    part = part_of(STORED["local"])
    part.offsets = np.array([0, 2, 1, 5], np.int64)
    part.write(tmp_path / "a.h5", **STAMP)
    with pytest.raises(FormatError, match="do not fit"):
        FeaturePart.read(tmp_path / "a.h5")
    part.offsets = np.array([0, 2, 9, 5], np.int64)
    part.write(tmp_path / "a.h5", **STAMP)
    with pytest.raises(FormatError, match=r"offsets of row 1 are \[2, 9\]"):
        read_features(tmp_path / "a.h5", [1], feature_hash=HASH)
