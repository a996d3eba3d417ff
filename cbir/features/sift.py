"""SIFT through OpenCV, and RootSIFT.

Keypoints are the extrema of differences of Gaussians over position and scale; each is described by
4 x 4 cells of 8 gradient directions around it, turned to its main direction (Lowe, IJCV 2004).
RootSIFT (Arandjelovic and Zisserman, CVPR 2012, section 3) divides a descriptor by its sum and
takes square roots:

    r_i = sqrt(s_i / sum_j s_j)          |r|_2 = 1,     r . r' = Hellinger kernel of s and s'

so the Euclidean distance every later stage uses compares SIFT histograms the way histograms want
it.

Where we depart from OpenCV's defaults: keypoints are placed where they are
(`enable_precise_upscale`; the default shifts all of them by a quarter pixel, against our rule that
the centre of the top-left pixel is (0, 0)); `max_keypoints` is strict (OpenCV keeps all that tie
with the last); and the order is defined: strongest contrast first, ties by x, y, scale, angle, so a
cut at fewer keypoints is a prefix.

Stored are OpenCV's values, whole numbers 0 to 255, as bytes: a quarter of RootSIFT's, and `unpack`
takes the root on the way back.

Cost of a 320 x 240 photograph on one core: about 14 ms for the scale space, 35 us for each
keypoint's descriptor (20 ms for 570). Memory: about 60 bytes a pixel while it runs, 528 bytes a
keypoint after.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cbir._checks import check_int
from cbir.errors import ParameterError
from cbir.features._arguments import check_image, check_region
from cbir.features._base import Feature
from cbir.types import Bags, Image, LocalFeatures, Region

_D = 128
_N_OCTAVE_LAYERS, _EDGE_THRESHOLD, _SIGMA = 3, 10.0, 1.6  # Lowe 2004, sections 3.3 and 4.1


class Sift(Feature[LocalFeatures]):
    """Local features: SIFT keypoints with (Root)SIFT descriptors.

    Parameters
    ----------
    contrast_threshold : drop extrema weaker than this. OpenCV's scale: Lowe's 0.03 is 0.09 here,
        OpenCV's own default 0.04; 0.02 also finds what retrieval of dim photographs needs.
    max_keypoints : most keypoints kept, the strongest in contrast; at least 1.
    root : `describe` and `unpack` give RootSIFT descriptors (unit length); False: OpenCV's whole
        numbers 0-255 as float32.

    Raises
    ------
    ParameterError for values out of range.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.kron(np.eye(8, dtype=np.uint8), np.full((16, 16), 255, np.uint8))
    >>> features = Sift(max_keypoints=20).describe(np.dstack([image] * 3))
    >>> features.keypoints.shape, features.descriptors.shape
    ((20, 4), (20, 128))
    """

    gives: ClassVar[Any] = Bags
    d = _D

    def __init__(
        self,
        contrast_threshold: Annotated[
            float, Field(ge=0, le=1, description="smaller finds more keypoints in flat regions")
        ] = 0.02,
        max_keypoints: Annotated[
            int, Field(ge=1, le=1_000_000, description="keypoints kept at most, the strongest")
        ] = 2000,
        root: Annotated[
            bool, Field(description="RootSIFT: square root of the L1-normalised descriptor")
        ] = True,
    ) -> None:
        if not 0 <= contrast_threshold <= 1:  # also refuses NaN
            raise ParameterError(
                f"Sift: contrast_threshold={contrast_threshold}, "
                "allowed is 0 to 1 (sensible: 0.02 to 0.09)"
            )
        self.contrast_threshold = float(contrast_threshold)
        self.max_keypoints = check_int(
            max_keypoints, who="Sift", name="max_keypoints", low=1, high=2**31 - 1
        )
        self.root = bool(root)

    def extract(self, image: Image, region: Region | None = None) -> LocalFeatures:
        """Find and describe the keypoints of a picture, descriptors as they are stored.

        Parameters
        ----------
        image : (H, W, 3) uint8 RGB. Not modified. 1 x 1 pixels, a plain surface: no keypoints.
        region : (x, y, w, h), whole pixels; only keypoints whose centre lies in it are kept, and
            `max_keypoints` counts those alone. Their descriptors still see the surroundings.

        Returns
        -------
        features : keypoints (n, 4) float32: x, y, scale = standard deviation of the Gaussian the
            keypoint was found at, in pixels (half of OpenCV's `size`), angle in radians in
            [0, 2 pi), from +x towards +y, which is clockwise as seen. Descriptors (n, 128) uint8,
            OpenCV's whole numbers before any root. n may be 0.

        Raises
        ------
        DimensionError, DTypeError, ParameterError.
        """
        image = check_image(image, who="Sift.extract")
        if region is not None:
            region = check_region(region, image, who="Sift.extract")
        # A mask would come after OpenCV's own cut, and leave fewer than max_keypoints inside the
        # region.
        limit = 0 if region is not None else self.max_keypoints
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        # Made anew each time: 20 us, and nothing is shared between threads.
        found, desc = _sift(limit, self.contrast_threshold).detectAndCompute(gray, None)
        if desc is None or len(found) == 0:
            return LocalFeatures(np.zeros((0, 4), np.float32), np.zeros((0, _D), np.uint8))
        kpts, response = _as_arrays(found)
        keep = np.lexsort((kpts[:, 3], kpts[:, 2], kpts[:, 1], kpts[:, 0], -response))
        if region is not None:
            x, y, w, h = region
            # Pixel x covers [x - 0.5, x + 0.5): the whole image as region keeps every keypoint.
            left, top = kpts[keep, 0] + 0.5, kpts[keep, 1] + 0.5
            inside = (left >= x) & (left < x + w) & (top >= y) & (top < y + h)
            keep = keep[inside]
        keep = keep[: self.max_keypoints]
        # OpenCV rounds to bytes itself and gives them as float32.
        return LocalFeatures(kpts[keep], desc[keep].astype(np.uint8))

    def unpack(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Give stored descriptors (n, 128) uint8 as float32, RootSIFT if `root` says so."""
        desc = np.ascontiguousarray(stored, np.float32)
        return root_sift(desc) if self.root else desc


def root_sift(desc: NDArray[np.float32]) -> NDArray[np.float32]:
    """RootSIFT of SIFT descriptors (n, 128) float32, non-negative; zero rows stay zero.

    The sum of whole numbers is exact, so a row's bytes don't depend on the rows beside it.
    """
    total = desc.sum(axis=1, keepdims=True)
    # Where the sum is 0 every entry is 0, and 0 / 1 = 0.
    return np.sqrt(desc / np.where(total > 0, total, np.float32(1)))


def _sift(limit: int, contrast_threshold: float) -> Any:
    create: Any = cv2.SIFT_create  # type: ignore[attr-defined, unused-ignore]  # not in its stubs
    return create(
        nfeatures=limit,
        nOctaveLayers=_N_OCTAVE_LAYERS,
        contrastThreshold=contrast_threshold,
        edgeThreshold=_EDGE_THRESHOLD,
        sigma=_SIGMA,
        enable_precise_upscale=True,
    )


def _as_arrays(found: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """OpenCV's keypoints as (n, 4) x, y, scale, angle and their contrasts (n,)."""
    rows = np.array([(*p.pt, p.size / 2, p.angle, p.response) for p in found], np.float64)
    rows[:, 3] = np.radians(rows[:, 3] % 360.0)
    kpts = rows[:, :4].astype(np.float32)
    # A hair below 360 degrees rounds to 2 pi, which belongs to 0.
    kpts[kpts[:, 3] >= np.float32(2 * np.pi), 3] = 0
    return kpts, rows[:, 4].astype(np.float32)
