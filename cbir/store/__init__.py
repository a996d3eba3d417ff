"""What lies on disk: atomic files, arrays with a manifest, catalogue, feature parts, writer lock.

Map::

    atomic.py       write under a temporary name, flush, rename      <- read this first
    marker.py       the file that makes a folder a collection        (CBIR)
    layout.py       the paths of a collection, what may be swept
    schema.py       its tables, rows and checksums
    catalogue.py    one generation of the catalogue, for reading     (catalogue.sqlite)
    publication.py  one transaction that makes the next generation
    comparison.py   what a scan found against the catalogue, in SQL
    parts.py        immutable HDF5 files of features                 (features/<hash>/part-1.h5)
    arrays.py       manifest.json beside plain .npy arrays           (model/, index/)
    lock.py         one writer per collection

Nothing here knows what an array means: parts hand over names and arrays and get them back, checked.
"""

from cbir.store.arrays import check_arrays, load_arrays, read_manifest, save_arrays
from cbir.store.atomic import atomic_folder, atomic_write
from cbir.store.catalogue import Catalogue, live_seal
from cbir.store.comparison import Comparison, Differs
from cbir.store.layout import Layout, check_manifests, folder_bytes, manifests
from cbir.store.lock import WriterLock
from cbir.store.marker import check_marker, claim
from cbir.store.parts import FeaturePart, Stored, read_features, read_hashes
from cbir.store.publication import Publication, create_catalogue, note_times
from cbir.store.schema import Generation, ImageRow, PartRow, SegmentRow

__all__ = [
    "Catalogue",
    "Comparison",
    "Differs",
    "FeaturePart",
    "Generation",
    "ImageRow",
    "Layout",
    "PartRow",
    "Publication",
    "SegmentRow",
    "Stored",
    "WriterLock",
    "atomic_folder",
    "atomic_write",
    "check_arrays",
    "check_manifests",
    "check_marker",
    "claim",
    "create_catalogue",
    "folder_bytes",
    "live_seal",
    "load_arrays",
    "manifests",
    "note_times",
    "read_features",
    "read_hashes",
    "read_manifest",
    "save_arrays",
]
