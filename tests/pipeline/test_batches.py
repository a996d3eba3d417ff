"""Batches: walked anew, sampled by seed whatever the cut, and never held."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.errors import DimensionError
from cbir.features import ColourHistogram, Sift
from cbir.pipeline import Batches, batch_of, unpacked_batch
from cbir.pipeline.batches import joined, with_rows
from cbir.types import Bags, Maps
from tests.pipeline.toys import BLANK, PICTURES, Cells


def cut(x, places):
    parts = [np.asarray(part) for part in np.split(x, places)]
    return Batches(lambda: iter(parts), [len(p) for p in parts], len(x))


X = np.arange(2000, dtype=np.float32).reshape(1000, 2)


@given(
    st.lists(st.integers(0, 1000), max_size=5).map(sorted), st.integers(0, 1200), st.integers(0, 99)
)
def test_sample_is_drawn_by_seed_over_all_rows(places, n, seed):
    batches = cut(X, places)
    expected = X
    if n < len(X):
        expected = X[np.sort(np.random.default_rng(seed).choice(len(X), n, replace=False))]
    np.testing.assert_array_equal(batches.sample(n, seed), expected)
    images = list(batches.sample_images(n, seed))  # here an image is a row
    np.testing.assert_array_equal(np.concatenate([X[:0], *images]), expected)


def test_draw_from_more_rows_than_memory_has():
    """A list of all row numbers would take 8 TB."""
    total = 10**12
    huge = np.broadcast_to(np.float32([[1, 2]]), (total, 2))
    batches = Batches(lambda: iter([huge]), [total], total)
    assert batches.sample(5, 0).tolist() == [[1, 2]] * 5


def test_only_one_batch_is_held():
    alive = weakref.WeakSet()
    most = 0

    def make():
        nonlocal most
        for i in range(20):
            bags = Bags.of([np.full((50, 4), i, np.float32)])
            alive.add(bags)
            gc.collect()
            most = max(most, len(alive))
            yield bags
            del bags

    batches = Batches(make, [50] * 20, 20).map(lambda batch: batch)
    batches.sample(30, 0)
    for _ in batches.sample_images(3, 0):
        pass
    assert most <= 3  # one in each hand that passes it on, not twenty


def test_images_are_drawn_whole():
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(n, 3)).astype(np.float32) for n in (4, 0, 2, 7, 1, 3)]
    batches = Batches.of(Bags.of(bags[:4]), Bags.of(bags[4:]))
    assert batches.n_images == 6
    assert batches.total == 17
    chosen = np.sort(np.random.default_rng(5).choice(6, 3, replace=False))
    drawn = joined(list(batches.sample_images(3, 5)))
    assert len(drawn) == 3
    for bag, i in zip(drawn, chosen, strict=True):
        np.testing.assert_array_equal(bag, bags[i])


def test_maps_stay_maps():
    grids = np.int32([[2, 3], [1, 1], [4, 2]])
    rows = np.arange(30, dtype=np.float32).reshape(15, 2)
    maps = Maps(rows, np.int64([0, 6, 7, 15]), grids)
    (drawn,) = Batches.of(maps).sample_images(2, 1)
    assert isinstance(drawn, Maps)
    both = joined([maps, drawn])
    assert isinstance(both, Maps)
    assert len(both) == 5
    assert isinstance(with_rows(maps, rows[:, :1]), Maps)


def test_counts_that_lie():
    with pytest.raises(DimensionError, match="batch 1 of 1 has 1000 rows, its count says 999"):
        list(Batches(lambda: iter([X]), [999], 999))
    with pytest.raises(DimensionError, match="the batches hold 1000, 1001 were announced"):
        list(Batches(lambda: iter([X]), [1000], 1001).sample_images(5, 0))
    with pytest.raises(DimensionError, match="there are 1 batches, but 2 counts"):
        list(Batches(lambda: iter([X]), [1000, 5], 1005))
    with pytest.raises(DimensionError, match="batch 2 of 1 has 1000 rows"):
        list(Batches(lambda: iter([X, X]), [1000], 1000))


@pytest.mark.parametrize("feature", [Sift(), ColourHistogram(), Cells()])
def test_stored_and_described_are_the_same_batch(feature):
    pictures = [*PICTURES[:3], BLANK]
    described = batch_of(feature, [feature.describe(image) for image in pictures])
    stored = feature.extract_batch(pictures)
    offsets = grids = None
    if isinstance(feature, Sift):
        rows = np.concatenate([one.descriptors for one in stored])
        offsets = np.cumsum([0, *map(len, stored)])
        assert rows.dtype == np.uint8
    elif isinstance(feature, Cells):
        rows = np.concatenate([one.reshape(-1, 3) for one in stored])
        grids = np.int32([one.shape[:2] for one in stored])
        offsets = np.concatenate([[0], np.cumsum(grids.prod(axis=1))]).astype(np.int64)
    else:
        rows = np.stack(stored)
    batch = unpacked_batch(feature, rows, offsets, grids)
    assert type(batch) is type(described)
    for one, other in zip(batch, described, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(batch_of(feature, [])) == 0
    with pytest.raises(DimensionError, match=f"expected \\(n, {feature.d}\\)"):
        unpacked_batch(feature, rows[:, 1:], offsets, grids)
