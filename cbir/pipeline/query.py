"""What is asked: a picture as it was decoded, a region of it, and what was described of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from cbir.errors import ParameterError
from cbir.types import Features, Image, Region, SparseVectors, Vectors


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: `image` as the recipe wants it, and the size it had before.

    Attributes
    ----------
    image : (H, W, 3) uint8 RGB, upright, at most `image.max_side` wide or high.
    width, height : pixels of the upright picture as it came; regions are counted in these.
    """

    image: Image
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Query:
    """One query described, or several given as stored rows.

    Attributes
    ----------
    vectors : channel -> rows, one for each query.
    features : hash of a feature -> what it gave; empty for stored rows.
    n_keypoints : keypoints of the picture, of all its local features; 0 means that nothing can be
        found by them, None that there is no local feature (or nobody knows).
    """

    vectors: Mapping[str, Vectors | SparseVectors]
    features: Mapping[str, Features] = field(default_factory=dict)
    n_keypoints: int | None = None

    def __len__(self) -> int:
        return max(map(len, self.vectors.values()), default=0)


def in_image(region: Region, picture: Picture) -> Region:
    """A region of the picture's own pixels as whole pixels of its image, rounded outward.

    Raises
    ------
    ParameterError if it is no region, or holds no pixel of the picture.
    """
    try:
        x, y, w, h = (float(v) for v in region)
        good = all(map(math.isfinite, (x, y, w, h)))
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ParameterError(f"region={region!r}, expected (x, y, w, h) in pixels of the picture")
    left, right = max(x, 0.0), min(x + w, picture.width)
    top, bottom = max(y, 0.0), min(y + h, picture.height)
    if w <= 0 or h <= 0 or left >= right or top >= bottom:
        raise ParameterError(
            f"region={tuple(region)} holds no pixel of the {picture.width} x {picture.height} "
            "picture"
        )
    height, width = picture.image.shape[:2]
    # Multiplied before it is divided: whole results come out whole.
    a, b = math.floor(left * width / picture.width), math.ceil(right * width / picture.width)
    c, d = math.floor(top * height / picture.height), math.ceil(bottom * height / picture.height)
    return (a, c, b - a, d - c)
