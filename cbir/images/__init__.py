"""From files to pictures: find them in a folder, decode them upright, make them small enough.

::

    folder --walk--> relative paths --decode--> uint8 RGB (H, W, 3), upright, longest side at most
    max_side
                                      |
                                      +-- _modes.py: gray, palette, alpha, CMYK, 16-bit, float ->
                                      RGB +-- _resize.py: area averaging, only downwards

Read `_decode.py` first. Whatever is wrong with a file ends in `ImageError`, whose message names the
file, what was found and how to mend it: a build skips that picture, records the reason and goes on.

Why Pillow and not ``cv2.imread``: it tells the reasons apart, reads the sizes before it allocates,
keeps 16-bit and palette pictures as they are until we say how to turn them, and leaves no warnings
on stderr.
"""

from cbir.images._decode import EXTENSIONS, FORMATS, MAX_PIXELS, decode
from cbir.images._resize import resize
from cbir.images._walk import Scan, is_walked, scan, walk

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MAX_PIXELS",
    "Scan",
    "decode",
    "is_walked",
    "resize",
    "scan",
    "walk",
]
