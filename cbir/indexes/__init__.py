"""Indexes: rows with ids in, the k best for a query out. Arrays only; no image is ever opened here.

Map::

    _base.py            the contract all indexes keep: ids, padding, files     <- read this first
    flat.py             Flat          every row, dense         csrc/flat/           exact
    inverted_file.py    InvertedFile  postings by word, sparse csrc/inverted_file/  exact

Which one: dense vectors go to `Flat`, bags of words (`SparseVectors`) to `InvertedFile`.

To add an index: one class over `Index` in a file of its own, one line in `INDEXES`, and the suite
in tests/indexes/test_contract.py runs over it.

Why (2026-11): an index keeps its rows as they came and builds what it derives from them again on
loading. Files stay small and plain, and a new kernel may change its layout without a new file
format.
"""

from __future__ import annotations

from pathlib import Path

from cbir.errors import FormatError, ParameterError
from cbir.indexes._base import Index
from cbir.indexes.flat import Flat
from cbir.indexes.inverted_file import InvertedFile
from cbir.store import read_manifest

INDEXES: dict[str, type[Index]] = {"flat": Flat, "inverted_file": InvertedFile}

_FACTORY: dict[str, type[Index]] = {"Flat": Flat}

__all__ = ["INDEXES", "Flat", "Index", "InvertedFile", "index_factory", "load"]


def index_factory(d: int, description: str, metric: str = "l2") -> Index:
    """Make an empty index from a string of `faiss.index_factory`: so far ``"Flat"``.

    Examples
    --------
    >>> index_factory(128, "Flat")
    Flat(d=128, metric='l2', ntotal=0)
    """
    if description not in _FACTORY:
        raise ParameterError(
            f"index_factory: {description!r} is not known; there is {', '.join(sorted(_FACTORY))}"
        )
    return _FACTORY[description](d, metric=metric)


def load(folder: str | Path, mmap: bool = False) -> Index:
    """Read an index of any class; the manifest says which. FormatError names a wrong file."""
    kind = read_manifest(Path(folder))["kind"]
    if kind not in INDEXES:
        raise FormatError(
            f"{Path(folder) / 'manifest.json'}: holds {kind!r}, expected one of {sorted(INDEXES)}"
        )
    return INDEXES[kind].load(folder, mmap=mmap)
