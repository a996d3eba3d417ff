"""Indexes: rows with ids in, the k best for a query out. Arrays only; no image is ever opened here.

Map::

    _base.py            the contract all indexes keep           <- read this first
    _ids.py             ids to rows, removed rows, allowed rows
    _files.py           whole, or trained state and rows apart; mapped or read
    flat.py             Flat          every row, dense          csrc/flat/           exact
    inverted_file.py    InvertedFile  postings by word, sparse  csrc/inverted_file/  exact
    segments.py         Segments      several indexes searched as one

Which one: dense vectors go to `Flat`, bags of words (`SparseVectors`) to `InvertedFile`.

To add an index: one class over `Index` in a file of its own, one line in `INDEXES`, and the suite
in tests/indexes/test_contract.py runs over it.

Why (2026-11): files hold what is searched, in the form in which it is searched, so that a large
index opens at once and a search reads from the disk only what it touches. Building derived
structures again on loading was refused: it costs what the collection costs, and for a graph hours.
The price is a file format that a new kernel may outgrow.
"""

from __future__ import annotations

from pathlib import Path

from cbir.errors import FormatError, ParameterError
from cbir.indexes._base import Index
from cbir.indexes.flat import Flat
from cbir.indexes.inverted_file import InvertedFile
from cbir.indexes.segments import Segments
from cbir.store import read_manifest

INDEXES: dict[str, type[Index]] = {"flat": Flat, "inverted_file": InvertedFile}

_FACTORY: dict[str, type[Index]] = {"Flat": Flat}

__all__ = [
    "INDEXES",
    "Flat",
    "Index",
    "InvertedFile",
    "Segments",
    "index_factory",
    "load",
    "load_trained",
]


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
    return _class_of(Path(folder), "").load(folder, mmap=mmap)


def load_trained(folder: str | Path) -> Index:
    """Read what `save_trained` of an index of any class wrote: that index, without rows."""
    return _class_of(Path(folder), ".trained").load_trained(folder)


def _class_of(folder: Path, suffix: str) -> type[Index]:
    kinds = {f"{kind}{suffix}": index for kind, index in INDEXES.items()}
    kind = read_manifest(folder)["kind"]
    if kind not in kinds:
        raise FormatError(
            f"{folder / 'manifest.json'}: holds {kind!r}, expected one of {sorted(kinds)}"
        )
    return kinds[kind]
