"""What lies on disk: atomic files, arrays with a manifest, catalogue, feature parts, writer lock.

Map::

    atomic.py     write under a temporary name, flush, rename        <- read this first
    arrays.py     manifest.json beside plain .npy arrays             (model/, index/000001/)
    parts.py      immutable HDF5 files of features                   (features/part-000001.h5)
    catalogue.py  one row per image in SQLite                        (catalogue.sqlite)
    lock.py       one writer per collection
    layout.py     the paths of a collection, generations, cleaning up

Nothing here knows what an array means: parts hand over names and arrays and get them back, checked.
"""

from cbir.store.arrays import check_arrays, load_arrays, read_manifest, save_arrays
from cbir.store.atomic import atomic_folder, atomic_write
from cbir.store.catalogue import Catalogue, ImageRow
from cbir.store.layout import Layout
from cbir.store.lock import WriterLock
from cbir.store.parts import FeaturePart

__all__ = [
    "Catalogue",
    "FeaturePart",
    "ImageRow",
    "Layout",
    "WriterLock",
    "atomic_folder",
    "atomic_write",
    "check_arrays",
    "load_arrays",
    "read_manifest",
    "save_arrays",
]
