"""Colour histogram of a 320 x 240 picture, beside cv2.calcHist and np.histogramdd.

Run: ``pytest benchmarks/micro/bench_colour.py``. One thread.
"""

import cv2
import numpy as np
import pytest

from cbir.features import ColourHistogram

BINS = (20, 10, 20)


@pytest.fixture(scope="module")
def image():
    """Smooth colours, as in photographs: noise would miss the cache more than any picture does."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("space", ["rgb", "hsv", "lab"])
@pytest.mark.parametrize("layout", ["joint", "marginal", "grid4"])
def test_cbir(benchmark, image, space, layout):
    benchmark.group = f"colour histogram, {layout}"
    histogram = ColourHistogram(space, BINS, layout != "marginal", 4 if layout == "grid4" else 1)
    benchmark(histogram.describe, image)


def test_opencv_calchist(benchmark, image):
    benchmark.group = "colour histogram, joint"

    def describe():
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256])
        return np.sqrt(counts.ravel() / counts.sum())

    benchmark(describe)


def test_numpy_histogramdd(benchmark, image):
    benchmark.group = "colour histogram, joint"

    def describe():
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).reshape(-1, 3)
        counts, _ = np.histogramdd(hsv, BINS, [(0, 180), (0, 256), (0, 256)])
        return np.sqrt(counts.ravel() / len(hsv)).astype(np.float32)

    benchmark(describe)
