r"""What every feature has in common: the form it is stored in, and the form the stages want.

::

    image --extract--> as it is stored --unpack--> float32, as the stages want it
          \______________________________________/
                         describe

The two differ where a smaller form holds the same numbers (SIFT: bytes before the square root).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from cbir.types import Features, Image, LocalFeatures, Region

F = TypeVar("F", LocalFeatures, NDArray[np.float32])


class Feature(ABC, Generic[F]):
    """A descriptor of pictures. It learns nothing and keeps nothing between two calls.

    Attributes
    ----------
    gives : `Bags` (a set of descriptors per image), `Maps` (a grid of them) or `Vectors` (one).
    d : width of a descriptor.
    batch_size : pictures that `extract_batch` likes to be given at once.
    """

    gives: ClassVar[Any]
    d: int
    batch_size: ClassVar[int] = 1

    @abstractmethod
    def extract(self, image: Image, region: Region | None = None) -> F:
        """Give the features of one picture in the form that is stored."""

    def extract_batch(self, images: Sequence[Image]) -> list[F]:
        """Give what `extract` gives for each of several pictures."""
        return [self.extract(image) for image in images]

    def unpack(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Turn stored rows (n, d) into what the stages want, float32 (n, d)."""
        return np.ascontiguousarray(stored, np.float32)

    def describe(self, image: Image, region: Region | None = None) -> F:
        """Give the features of one picture as the stages want them: `extract`, then `unpack`."""
        return cast(F, unpacked(self, self.extract(image, region)))


def unpacked(feature: Feature[Any], stored: Features) -> Features:
    """One image's features as the stages want them, from the form that is stored."""
    if isinstance(stored, LocalFeatures):
        return LocalFeatures(stored.keypoints, feature.unpack(stored.descriptors))
    rows = stored.reshape(-1, stored.shape[-1])  # a vector is one row, a map a grid of rows
    return feature.unpack(rows).reshape(stored.shape)
