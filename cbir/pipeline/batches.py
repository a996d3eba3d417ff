"""Features of a whole collection, a batch at a time, again and again.

`Batches` is what everything learned is fitted from. It knows how many rows there are, so it can
draw a sample before the first batch is read; it can be walked as often as needed, and nobody ever
holds more than a sample and a batch.

A row is a descriptor (of `Bags` and `Maps`) or the vector of an image. A sample is drawn by seed
over all rows alike, and given in stored order, so its bytes depend neither on how the rows are cut
into batches nor on what was read before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.errors import DimensionError
from cbir.types import Bags, Batch, Features, LocalFeatures, Maps, Vectors

SAMPLE_BYTES = 512_000_000
"""Most bytes of float32 rows that anything is trained on: 1,000,000 SIFT descriptors."""


def n_rows(batch: Batch) -> int:
    """Descriptors in a batch, or vectors where an image has one."""
    return len(batch.descriptors) if isinstance(batch, Bags) else len(batch)


def rows_of(batch: Batch) -> NDArray[np.float32]:
    """The rows themselves, (n, d)."""
    return batch.descriptors if isinstance(batch, Bags) else batch


def with_rows(batch: Batch, rows: NDArray[np.float32]) -> Batch:
    """The same images with other rows, as many as before."""
    return replace(batch, descriptors=rows) if isinstance(batch, Bags) else rows


def most_rows(d: int) -> int:
    """Rows of width `d` in a sample at most: `SAMPLE_BYTES` worth, and never none."""
    return max(1, SAMPLE_BYTES // (4 * max(d, 1)))


class Batches:
    """Batches of features that can be walked anew.

    Parameters
    ----------
    make : gives the batches anew at each call, always the same.
    counts : rows in each batch.
    n_images : images in all of them.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(12, dtype=np.float32).reshape(6, 2)
    >>> batches = Batches(lambda: iter([x[:4], x[4:]]), [4, 2], 6)
    >>> batches.total, [len(batch) for batch in batches]
    (6, [4, 2])
    >>> batches.sample(2, seed=0).tolist()
    [[6.0, 7.0], [8.0, 9.0]]
    """

    def __init__(
        self, make: Callable[[], Iterator[Batch]], counts: Sequence[int], n_images: int
    ) -> None:
        self._make = make
        self.counts = tuple(int(n) for n in counts)
        self.n_images = int(n_images)

    @classmethod
    def of(cls, *batches: Batch) -> Batches:
        """Batches that are in memory already."""
        return cls(lambda: iter(batches), [n_rows(b) for b in batches], sum(map(len, batches)))

    @property
    def total(self) -> int:
        """Rows in all batches."""
        return sum(self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[Batch]:
        done = 0
        for done, batch in enumerate(self._make(), start=1):
            announced = self.counts[done - 1] if done <= len(self.counts) else 0
            if done > len(self.counts) or n_rows(batch) != announced:
                raise DimensionError(
                    f"Batches: batch {done} of {len(self.counts)} has {n_rows(batch)} rows, "
                    f"its count says {announced}"
                )
            yield batch
        if done < len(self.counts):
            raise DimensionError(
                f"Batches: there are {done} batches, but {len(self.counts)} counts"
            )

    def map(self, change: Callable[[Batch], Batch]) -> Batches:
        """The same batches after `change`, which must keep the number of rows of each."""
        return Batches(lambda: (change(batch) for batch in self), self.counts, self.n_images)

    def sample(self, n: int, seed: int) -> NDArray[np.float32]:
        """Draw `n` rows without repetition, all of them where there are no more; stored order.

        Memory is that of the sample and of a batch; the draw itself takes 400 bytes for each row
        drawn at most, however many there are to draw from.
        """
        chosen = _chosen(self.total, n, seed)
        sample: NDArray[np.float32] | None = None
        for batch, low, high, picked in _walk(self, n_rows, chosen, self.total):
            rows = rows_of(batch)
            if sample is None:
                size = self.total if chosen is None else len(chosen)
                sample = np.empty((size, rows.shape[1]), np.float32)
            sample[low:high] = rows[picked]
        return np.zeros((0, 0), np.float32) if sample is None else sample

    def sample_images(self, n: int, seed: int) -> Iterator[Batch]:
        """Draw `n` images, all where there are no more; give those of each batch, in order."""
        chosen = _chosen(self.n_images, n, seed)
        for batch, low, high, picked in _walk(self, len, chosen, self.n_images):
            if chosen is None:
                yield batch
            elif low < high:
                yield _images(batch, picked)


def joined(batches: Sequence[Batch]) -> Batch:
    """Several batches of one kind as one; there must be one at least."""
    if not isinstance(batches[0], Bags):
        return np.concatenate([rows_of(b) for b in batches])
    bags = [b for b in batches if isinstance(b, Bags)]
    sizes = np.concatenate([np.diff(b.offsets) for b in bags])
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = np.concatenate([b.descriptors for b in bags])
    if isinstance(batches[0], Maps):
        return Maps(rows, offsets, np.concatenate([b.grids for b in bags if isinstance(b, Maps)]))
    return Bags(rows, offsets)


def unpacked_batch(
    feature: Any,
    stored: NDArray[Any],
    offsets: NDArray[np.int64] | None = None,
    grids: NDArray[np.int32] | None = None,
) -> Batch:
    """Stored features of several images as the stages take them.

    Parameters
    ----------
    feature : the one that extracted them, of `cbir.features`.
    stored : (n, d) rows as `feature.extract` gives them, images end to end.
    offsets : (n_images + 1,) int64 where an image has several rows; None where it has one.
    grids : (n_images, 2) int32, height and width, of maps.

    Raises
    ------
    DimensionError if the rows are not as wide as the feature's, or offsets or grids don't fit.
    """
    if stored.ndim != 2 or stored.shape[1] != feature.d:
        raise DimensionError(
            f"unpacked_batch: stored rows are {stored.shape}, expected (n, {feature.d})"
        )
    rows = feature.unpack(stored)
    if offsets is None:
        return np.asarray(rows, np.float32)
    return Bags(rows, offsets) if grids is None else Maps(rows, offsets, grids)


def batch_of(feature: Any, described: Sequence[Features]) -> Batch:
    """What `feature.describe` gave for several images, as one batch; none give an empty one."""
    if feature.gives is Vectors:
        return np.array([np.asarray(x) for x in described], np.float32).reshape(-1, feature.d)
    rows = [
        x.descriptors.astype(np.float32, copy=False)
        if isinstance(x, LocalFeatures)
        else x.reshape(-1, x.shape[-1])
        for x in described
    ]
    bags = Bags.of(rows, d=feature.d)
    if feature.gives is not Maps:
        return bags
    grids = [x.shape[:2] for x in described if not isinstance(x, LocalFeatures)]
    return Maps(bags.descriptors, bags.offsets, np.array(grids, np.int32).reshape(-1, 2))


def _chosen(total: int, n: int, seed: int) -> NDArray[np.int64] | None:
    """Numbers of the rows drawn, rising; None: all."""
    if n >= total:
        return None
    return np.sort(np.random.default_rng(seed).choice(total, n, replace=False))


def _walk(
    batches: Batches, size: Callable[[Any], int], chosen: NDArray[np.int64] | None, total: int
) -> Iterator[tuple[Batch, int, int, Any]]:
    """Each batch with what is drawn of it: places [low, high) of the sample, and its own rows."""
    start = 0
    for batch in batches:
        end = start + size(batch)
        if chosen is None:
            yield batch, start, end, slice(None)
        else:
            low, high = np.searchsorted(chosen, [start, end]).tolist()
            yield batch, low, high, chosen[low:high] - start
        start = end
    if start != total:
        raise DimensionError(f"Batches: the batches hold {start}, {total} were announced")


def _images(batch: Batch, numbers: NDArray[np.int64]) -> Batch:
    """Some images of a batch, by number, rising."""
    if not isinstance(batch, Bags):
        return batch[numbers]
    rows = [np.arange(batch.offsets[i], batch.offsets[i + 1]) for i in numbers]
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    descriptors = batch.descriptors[np.concatenate(rows)]
    if isinstance(batch, Maps):
        return Maps(descriptors, offsets, batch.grids[numbers])
    return Bags(descriptors, offsets)
