"""The spill file: batches come back as they were, and a disk that refuses is a StorageError."""

import numpy as np
import pytest

from cbir.errors import FormatError, StorageError
from cbir.pipeline.spill import Spill
from cbir.types import SparseVectors


def counts(seed, n):
    rng = np.random.default_rng(seed)
    return SparseVectors.from_dense(rng.poisson(0.3, (n, 20)).astype(np.float32))


BATCHES = [counts(i, n) for i, n in enumerate([5, 1, 0, 30])]


def test_round_trip(tmp_path):
    spill = Spill(tmp_path / "deep" / "x.counts")
    passed = list(spill.passing(BATCHES))
    assert all(a is b for a, b in zip(passed, BATCHES, strict=True))
    for _ in range(2):
        back = list(spill.read(20))
        assert [len(b) for b in back] == [5, 1, 0, 30]
        for a, b in zip(back, BATCHES, strict=True):
            np.testing.assert_array_equal(a.to_dense(), b.to_dense())


def test_a_new_spill_replaces_the_old_one(tmp_path):
    list(Spill(tmp_path / "x").passing(BATCHES))
    assert not list(Spill(tmp_path / "x").read(20))


def test_cut_file(tmp_path):
    spill = Spill(tmp_path / "x")
    list(spill.passing(BATCHES))
    spill.path.write_bytes(spill.path.read_bytes()[:-7])
    with pytest.raises(FormatError, match="cut"):
        list(spill.read(20))


def test_disk_that_refuses(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="counts"):
        Spill(tmp_path / "file" / "x.counts")
