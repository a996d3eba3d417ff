"""From vectors to better vectors: normalise, tame bursts, reduce, whiten.

::

    (n, d) float32 -> L2 | Power | SignedSqrt | PCA -> (n, d') float32

A transform stands after an aggregation (one vector per image), or between a local feature and its
vocabulary (``[[descriptor_transforms]]``, one vector per descriptor). It is a learned map:
``fit(x) -> self``, ``transform(x)``, ``save``, ``load``; each row by itself, so a batch may be cut
anywhere. Rows in, rows out: it knows nothing of images.

**A zero row stays zero.** That is what an image without descriptors has, and it must stay as far
from everything as it was: a transform that moved it (PCA takes away a mean) would make all such
images, and queries, alike and similar to something.

Read `power.py` first, then `pca.py`. A new one is one class over `Transform` and one line in
`TRANSFORMS`; tests/test_learned_maps.py then asks for a line too.
"""

from __future__ import annotations

from typing import Any

from cbir.transforms._base import Transform
from cbir.transforms.l2 import L2
from cbir.transforms.pca import PCA
from cbir.transforms.power import Power, SignedSqrt

TRANSFORMS: dict[str, type[Any]] = {
    "l2": L2,
    "pca": PCA,
    "power": Power,
    "signed_sqrt": SignedSqrt,
}
"""Name in a recipe -> class."""

__all__ = ["L2", "PCA", "TRANSFORMS", "Power", "SignedSqrt", "Transform"]
