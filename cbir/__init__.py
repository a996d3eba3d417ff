"""Content-based image retrieval: given a picture, find the pictures that show the same thing.

The way through the house::

    file -> images -> features -> aggregation -> transforms -> index ==> fusion -> rerank -> answer
                                  ^ vocabulary

Four levels of use, each made only of those below it: the parts (`cbir.features`, `cbir.vocabulary`,
`cbir.aggregation`, `cbir.transforms`, `cbir.indexes`, `cbir.rerank`, `cbir.evaluation`: arrays in,
arrays out), `cbir.pipeline` (a recipe made alive), `cbir.collection` (a pipeline, a catalogue and
an index in one folder on disk) and the doors (`cbir.commands`).

The names below are loaded when they are first asked for, so that ``import cbir`` costs nothing.

Read first: `cbir.pipeline`; then a concept's twin in `cbir.reference` and its kernel in
csrc/<concept>/.

Examples
--------
>>> import cbir
>>> cbir.Recipe.load("vlad").name
'vlad'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cbir.collection import Collection
    from cbir.errors import CbirError
    from cbir.installation import set_simd_level, show_config
    from cbir.pipeline import Pipeline
    from cbir.recipe import Recipe
    from cbir.types import Bags, LocalFeatures, RangeResult, SearchResult, SparseVectors, Vectors

__version__ = "0.1.0"

_HOMES = {
    "Bags": "types",
    "CbirError": "errors",
    "Collection": "collection",
    "LocalFeatures": "types",
    "Pipeline": "pipeline",
    "RangeResult": "types",
    "Recipe": "recipe",
    "SearchResult": "types",
    "SparseVectors": "types",
    "Vectors": "types",
    "set_simd_level": "installation",
    "show_config": "installation",
}
__all__ = [
    "Bags",
    "CbirError",
    "Collection",
    "LocalFeatures",
    "Pipeline",
    "RangeResult",
    "Recipe",
    "SearchResult",
    "SparseVectors",
    "Vectors",
    "set_simd_level",
    "show_config",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cbir' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"cbir.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names too, loaded or not."""
    return sorted({*globals(), *__all__})
