"""Alter the files of a mapped index and search it; run by test_contract_files.py on its own.

python -m tests.indexes.corrupting NAME METRIC
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import numpy as np

import cbir.store.arrays
from cbir.errors import CbirError
from cbir.indexes import INDEXES, load
from tests.indexes.cases import D, pick, random_rows

N = 8192 + 700
FILLS = (0x00, 0xFF, 0x7F, None)  # None: random bytes


def ask(index, name):
    """Everything that reads rows; errors are fine, crashes are not."""
    q = random_rows(name, 100, 1)
    ids = np.random.default_rng(0).integers(0, N, (100, 5))
    few, many = np.arange(0, N, 200), np.arange(N) % 2 == 0
    for nq in (1, 8, 100) if name == "flat" else (1, 4):
        some = pick(q, np.arange(nq))
        for allowed in (None, few, many):
            with contextlib.suppress(CbirError, ValueError, IndexError):
                index.search(some, 5, allowed=allowed)
            with contextlib.suppress(CbirError, ValueError, IndexError):
                index.range_search(some, 0.1, allowed=allowed)
    for call in (
        lambda: index.score(q, ids),
        lambda: index.score(q, np.arange(N)),
        lambda: index.reconstruct(ids[0]),
        lambda: index.without([3]).search(q, 5),
        lambda: index.ids,
        lambda: index.without(np.arange(0, N, 3)).compact(),
        lambda: index.without([]).add(random_rows(name, 3, 4)),
    ):
        with contextlib.suppress(CbirError, ValueError, IndexError):
            call()


def alter(path, start, fill, rng):
    """Overwrite the values of a file in place, all of them or some."""
    size = path.stat().st_size - start
    whole = np.memmap(path, np.uint8, "r+", start, (size,))
    if fill is not None:
        whole[:] = fill
    else:
        at = rng.integers(0, size, max(1, size // 50))
        whole[at] = rng.integers(0, 256, len(at), dtype=np.uint8)


def main(name, metric):
    cbir.store.arrays._MAPPED = 0
    rng = np.random.default_rng(1)
    folder = Path(tempfile.mkdtemp()) / "index"
    index = INDEXES[name](D, metric=metric)
    index.add(random_rows(name, N))
    index.save(folder)
    files = [p for p in sorted(folder.glob("*.npy")) if p.stat().st_size > 128]
    kept = {p: p.read_bytes() for p in files}
    for targets in [*([p] for p in files), files]:
        for fill in FILLS:
            opened = load(folder, mmap=True)
            for path in targets:
                alter(path, 128, fill, rng)
            ask(opened, name)
            for path in targets:
                path.write_bytes(kept[path])
    print("asked", len(files), "files")


if __name__ == "__main__":
    main(*sys.argv[1:])
