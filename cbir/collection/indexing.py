"""From feature parts to models and segments.

A model (the fitted stages of a channel) is made by the first build and then stays, so vectors of
all generations can be compared. A segment is a folder of index rows that never changes. `add` makes
one; it swallows the segments before it that are not at least four times its size, so there are
O(log n) of them, each row is written O(log n) times, and what was done so far decides their bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.collection.scanning import Progress
from cbir.errors import FormatError
from cbir.indexes import Index
from cbir.pipeline import Batches, Channel, unpacked_batch
from cbir.recipe import Recipe
from cbir.store import (
    Catalogue,
    FeaturePart,
    Layout,
    PartRow,
    SegmentRow,
    atomic_folder,
    folder_bytes,
    manifests,
)

RATIO = 4  # a segment is kept apart from a later one that is a quarter of its size or less


def read_parts(
    layout: Layout, feature: Any, parts: Sequence[PartRow]
) -> Iterator[tuple[FeaturePart, Any]]:
    """Read and check parts one after another, each with the batch that a channel takes.

    Raises
    ------
    FormatError naming the part.
    """
    for one in parts:
        path = layout.part(one.feature, one.number)
        part = FeaturePart.read(path, feature_hash=one.feature, checksum=one.checksum)
        rows = part.features if part.descriptors is None else part.descriptors
        assert rows is not None
        if rows.shape[1] != feature.d:
            raise FormatError(f"{path}: d={rows.shape[1]}, expected {feature.d}")
        yield part, unpacked_batch(feature, rows, part.offsets, part.grids)


def fitted_channel(
    layout: Layout,
    recipe: Recipe,
    channel: Channel,
    parts: Sequence[PartRow],
    progress: Progress,
) -> tuple[Channel, Iterator[Any] | None]:
    """Fit a channel to parts and publish its model, or take over what a killed build has fitted.

    Returns
    -------
    channel : fitted.
    vectors : those of each part, if fitting made them on the way.

    Raises
    ------
    ParameterError if there are too few images or descriptors; StorageError.
    """
    folder = layout.model(channel.name)
    told = hashlib.sha256("\n".join(one.checksum for one in parts).encode()).hexdigest()
    try:
        if Channel.facts(folder).get("parts") == told:
            return loaded_channel(layout, recipe, channel), None
    except FormatError:
        pass  # none yet, or one of other pictures or another recipe: fit anew
    batches = Batches(
        lambda: (batch for _, batch in read_parts(layout, channel.feature, parts)),
        [one.rows for one in parts],
        sum(one.images for one in parts),
    )
    channel.fit(batches, spill=layout.temporary("counts"), progress=progress)
    with atomic_folder(folder) as temporary:
        channel.save(temporary, {"parts": told})
    return channel, channel.fitted_vectors()


def loaded_channel(layout: Layout, recipe: Recipe, channel: Channel) -> Channel:
    """The fitted channel that lies in the collection. Raises FormatError."""
    return Channel.load(
        layout.model(channel.name),
        recipe,
        channel.name,
        feature=channel.feature,
        n_threads=channel.n_threads,
    )


def index_of(
    layout: Layout,
    channel: Channel,
    parts: Sequence[PartRow],
    ids: Sequence[NDArray[np.int64]],
    fitted: Iterator[Any] | None,
    *,
    n_threads: int,
    progress: Progress,
) -> Index:
    """An index of the images of `parts`, whose ids are `ids`; `fitted` are their vectors."""
    index = channel.new_index()
    if fitted is None:
        read = read_parts(layout, channel.feature, parts)
        fitted = (channel.vectors(batch, n_threads=n_threads) for _, batch in read)
    for done, (names, vectors) in enumerate(zip(ids, fitted, strict=True)):
        index.add(vectors, ids=names, n_threads=n_threads)
        progress("index", done + 1, len(parts))
    return index


def swallowed(
    segments: Sequence[SegmentRow], n_live: Sequence[int], n_new: int
) -> Sequence[SegmentRow]:
    """Segments that a new one of `n_new` rows takes in: the last ones that are too small.

    >>> rows = [SegmentRow("main", i, 0, 0, 0, 0, "", 0) for i in range(3)]
    >>> [one.number for one in swallowed(rows, [400, 12, 3], 1)]
    [1, 2]
    """
    start, size = len(segments), n_new
    while start and n_live[start - 1] < RATIO * size:
        start -= 1
        size += n_live[start]
    return segments[start:]


def live_ids(
    catalogue: Catalogue, segment: SegmentRow, index: Index, dying: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Ids of a segment that are neither masked nor about to be."""
    gone = np.concatenate([catalogue.masked(segment), dying])
    held = index.ids
    return held[~np.isin(held, gone)]


def merged(
    layout: Layout,
    catalogue: Catalogue,
    channel: Channel,
    segments: Sequence[SegmentRow],
    new: Index | None,
    dying: NDArray[np.int64],
    *,
    n_threads: int,
) -> Index:
    """The live rows of some segments and of a new index behind them, as one index.

    The rows are taken over as they are kept, and the files are read and checked in full: an altered
    one must not get a fresh checksum.
    """
    if new is not None and not segments:
        return new
    whole = channel.new_index()
    for one in segments:
        folder = layout.segment(channel.name, one.number)
        index = channel.new_index().load_rows(folder, mmap=False)
        whole.absorb(index, live_ids(catalogue, one, index, dying), n_threads=n_threads)
    if new is not None:
        whole.absorb(new, new.ids, n_threads=n_threads)
    return whole


def write_segment(layout: Layout, channel: str, number: int, index: Index) -> SegmentRow:
    """Publish the rows of an index as a segment. Raises StorageError."""
    folder = layout.segment(channel, number)
    index.save_rows(folder)
    ids = index.ids
    return SegmentRow(
        channel=channel,
        number=number,
        first_id=int(ids[0]),
        last_id=int(ids[-1]),
        rows=len(ids),
        bytes=folder_bytes(folder),
        manifest=manifests(folder),
        born=0,  # the publication's
    )
