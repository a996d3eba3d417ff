"""Content-based image retrieval: given a picture, find the pictures that show the same thing.

The way through the house::

    file -> images -> features -> aggregation -> indexes -> SearchResult
                                  ^ vocabulary

Three levels of use, each made only of the one below: the parts (`cbir.features`, `cbir.vocabulary`,
`cbir.aggregation`, `cbir.indexes`, `cbir.evaluation`: arrays in, arrays out), `cbir.pipeline` (a
recipe made alive), `cbir.collection` (a pipeline, a catalogue and a live index in one folder on
disk).

Read first: `cbir.pipeline`; then a concept's twin in `cbir.reference` and its kernel in
csrc/<concept>/.
"""

from cbir._config import set_simd_level, show_config
from cbir.types import Bags, LocalFeatures, SearchResult, SparseVectors

__version__ = "0.1.0"
__all__ = [
    "Bags",
    "LocalFeatures",
    "SearchResult",
    "SparseVectors",
    "set_simd_level",
    "show_config",
]
