"""Small pictures for the tests: made by a seed, written by Pillow."""

import io

import numpy as np
from PIL import Image


def noise(height=24, width=37, seed=0):
    """uint8 RGB (height, width, 3) without any symmetry."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height=48, width=64):
    """A picture JPEG keeps well: two ramps and a disc."""
    y, x = np.mgrid[:height, :width]
    disc = ((y - height / 3) ** 2 + (x - width / 4) ** 2 < (height / 5) ** 2) * 120
    channels = [x * 255 / width, y * 255 / height, disc + 60.0]
    return np.stack(channels, -1).astype(np.uint8)


def encoded(picture, fmt, **options):
    """Bytes of a file holding the picture (an array or a Pillow image)."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


# What each EXIF orientation does to the upright picture, by the standard's words: "row 0 is the
# ... side, column 0 is the ... side". Independent of the decoder's table, which holds the inverses.
STORED = {
    1: lambda a: a,
    2: lambda a: np.fliplr(a),
    3: lambda a: np.rot90(a, 2),
    4: lambda a: np.flipud(a),
    5: lambda a: np.transpose(a, (1, 0, 2)),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(np.transpose(a, (1, 0, 2)), 2),
    8: lambda a: np.rot90(a, -1),
}


def exif(orientation):
    """An EXIF block that holds nothing but the orientation."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block
