"""Sparse batches on disk, one after another: written once, read in the same order.

A bag of words is counted before its weights are known, because the weights are learned from all
counts. Holding all of them would take 8 bytes for each word of each image; assigning every
descriptor twice would double the dearest step of a build. So counts go to a file, which belongs to
this process and to this run: it is no format, is checked for nothing but its length, and is deleted
afterwards by whoever named the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from cbir.errors import FormatError
from cbir.store.atomic import storage_errors
from cbir.types import SparseVectors


class Spill:
    """A file of `SparseVectors` batches; a new one replaces what lies at its path.

    Raises
    ------
    StorageError if the disk is full or refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    def passing(self, batches: Iterable[SparseVectors]) -> Iterator[SparseVectors]:
        """Write each batch to the file, then hand it on."""
        for batch in batches:
            with storage_errors(self.path), self.path.open("ab") as file:
                for array in (batch.word_ids, batch.weights, batch.offsets):
                    np.save(file, array, allow_pickle=False)
            yield batch

    def read(self, n_words: int) -> Iterator[SparseVectors]:
        """Give the batches back, in the order they were written."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            while file.tell() < size:
                try:
                    words, weights, offsets = (np.load(file, allow_pickle=False) for _ in range(3))
                except (ValueError, EOFError) as error:
                    raise FormatError(f"{self.path}: cut while it was in use ({error})") from error
                yield SparseVectors(words, weights, offsets, n_words)
