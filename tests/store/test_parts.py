"""Feature parts: the documented HDF5 layout, round trip, same bytes, wrong files."""

import time

import h5py
import numpy as np
import pytest

from cbir.errors import FormatError
from cbir.store import FeaturePart

STAMP = {"recipe_hash": "abc", "cbir_version": "0.1.0"}


def local_part():
    rng = np.random.default_rng(0)
    return FeaturePart(
        image_ids=np.array([4, 6, 9], np.int64),
        labels=["a", "", "ü"],
        sizes=np.array([[3, 4], [5, 6], [7, 8]], np.int32),
        descriptors=rng.integers(0, 255, (5, 8), np.uint8),
        keypoints=rng.random((5, 4), np.float32),
        offsets=np.array([0, 2, 2, 5], np.int64),
        key="k",
        failed={5: "broken" * 20_000},
    )


def global_part():
    return FeaturePart(
        image_ids=np.array([1], np.int64),
        labels=["x"],
        sizes=np.array([[3, 4]], np.int32),
        features=np.ones((1, 4), np.float32),
    )


@pytest.mark.parametrize("make", [local_part, global_part])
def test_round_trip_and_same_bytes(make, tmp_path):
    part = make()
    part.write(tmp_path / "a.h5", **STAMP)
    time.sleep(1.1)  # a time stamp in the file would show
    part.write(tmp_path / "b.h5", **STAMP)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    back = FeaturePart.read(tmp_path / "a.h5", recipe_hash="abc")
    for name, value in vars(part).items():
        np.testing.assert_equal(getattr(back, name), value, name)


def test_layout_is_the_documented_one(tmp_path):
    local_part().write(tmp_path / "a.h5", **STAMP)
    with h5py.File(tmp_path / "a.h5") as file:
        assert {"image_ids", "labels", "keypoints", "descriptors", "offsets"} <= set(file)
        assert file.attrs["recipe_hash"] == "abc"
        assert file["labels"][0] == b"a"
    global_part().write(tmp_path / "b.h5", **STAMP)
    with h5py.File(tmp_path / "b.h5") as file:
        assert {"image_ids", "features", "labels"} <= set(file)


def test_another_recipe_is_refused(tmp_path):
    local_part().write(tmp_path / "a.h5", **STAMP)
    with pytest.raises(FormatError, match="another recipe"):
        FeaturePart.read(tmp_path / "a.h5", recipe_hash="abd")


def test_cut_altered_missing(tmp_path):
    path = tmp_path / "a.h5"
    part = local_part()
    part.write(path, **STAMP)
    whole = path.read_bytes()
    for n in [0, 1, 8, 100, 2000, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:n])
        with pytest.raises(FormatError, match=r"a\.h5"):
            FeaturePart.read(path)
    for target in (part.descriptors, part.keypoints, part.offsets, part.image_ids):
        at = whole.index(target.tobytes())
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(FormatError, match=r"a\.h5"):
            FeaturePart.read(path)
    path.unlink()
    with pytest.raises(FormatError, match="cannot be read"):
        FeaturePart.read(path)


def test_arrays_that_do_not_fit(tmp_path):
    part = local_part()
    part.offsets = np.array([0, 2, 1, 5], np.int64)
    part.write(tmp_path / "a.h5", **STAMP)
    with pytest.raises(FormatError, match="do not fit"):
        FeaturePart.read(tmp_path / "a.h5")
