r"""From a picture to numbers.

::

    image (H, W, 3) uint8 --extract(image, region=None)--> as it is stored --unpack--> float32
                                                           Bags:    LocalFeatures  Sift
                                                           Vectors: (d,)           ColourHistogram
                                                           Maps:    (h, w, d)

A feature has `gives` (one of the three types), `d`, `extract`, `unpack` and both in one,
`describe`; `extract_batch` takes several pictures where that is quicker (`batch_size`). It learns
nothing and keeps nothing between two calls, so one object serves any number of threads. `region` is
``(x, y, w, h)`` in whole pixels of the picture handed over.

Read `_base.py`, then `colour.py`: it is the smallest whole descriptor. A new one is one file here
and one line in `FEATURES`.

A feature leaves OpenCV's threads as it finds them; `cbir.pipeline` switches them off where its own
go over images.
"""

from typing import Any

from cbir.features._base import Feature, unpacked
from cbir.features.colour import ColourHistogram
from cbir.features.sift import Sift

FEATURES: dict[str, type[Any]] = {"sift": Sift, "colour": ColourHistogram}
"""Name in a recipe -> class."""

__all__ = ["FEATURES", "ColourHistogram", "Feature", "Sift", "unpacked"]
