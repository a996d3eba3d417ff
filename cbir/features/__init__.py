r"""From a picture to numbers.

::

    image (H, W, 3) uint8 --describe(image, region=None)--> LocalFeatures   kind "local":  Sift
                                                       \--> (d,) float32    kind "global":
                                                       ColourHistogram

A feature has `kind`, `d` and `describe`; it learns nothing and keeps nothing between two calls, so
one object serves any number of threads. `region` is ``(x, y, w, h)`` in pixels of the picture
handed over. Read `colour.py` first: it is the smallest whole descriptor. A new one is one file here
and one line in `FEATURES`.
"""

import cv2

from cbir.features.colour import ColourHistogram
from cbir.features.sift import Sift

# Threads go over images, in the pipeline. OpenCV's own pool beside them makes a 320 x 240 SIFT
# slower, and its results are the same either way.
cv2.setNumThreads(1)

FEATURES: dict[str, type] = {"sift": Sift, "colour": ColourHistogram}
"""Name in a recipe -> class."""

__all__ = ["FEATURES", "ColourHistogram", "Sift"]
