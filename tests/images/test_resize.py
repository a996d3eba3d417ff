"""The resize rule: longest side, only down, area means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.errors import DimensionError, DTypeError, ParameterError
from cbir.images import resize
from tests.images.pictures import noise


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 250))
def test_sides(height, width, max_side):
    image = noise(height, width)
    small = resize(image, max_side)
    longest = max(height, width)
    if longest <= max_side:
        assert small is image
        return
    assert max(small.shape[:2]) == max_side
    for new, old in zip(small.shape[:2], (height, width), strict=True):
        assert new >= 1
        assert abs(new - max(1, old * max_side / longest)) <= 0.5
    # Area means keep inside what was there, and keep the mean up to rounding and fractions of rows.
    assert small.min() >= image.min()
    assert small.max() <= image.max()


@pytest.mark.parametrize("factor", [2, 3, 4, 7])
def test_whole_factors_are_block_means(factor):
    image = noise(12 * factor, 20 * factor)
    blocks = image.reshape(12, factor, 20, factor, 3).astype(float).mean((1, 3))
    small = resize(image, 20)
    assert small.shape == (12, 20, 3)
    assert np.abs(small - blocks).max() <= 0.5 + 1e-6


def test_plain_pictures_stay_plain():
    assert (resize(np.full((97, 131, 3), 77, np.uint8), 50) == 77).all()


def test_strided_and_read_only():
    image = noise(40, 60)
    view = image[::-1, ::2]
    view.flags.writeable = False
    np.testing.assert_array_equal(resize(view, 20), resize(view.copy(), 20))


def test_long_and_thin():
    assert resize(noise(1, 10_000), 100).shape == (1, 100, 3)
    assert resize(noise(10_000, 1), 1).shape == (1, 1, 3)


def test_wrong_arguments():
    with pytest.raises(ParameterError, match="max_side=0"):
        resize(noise(), 0)
    with pytest.raises(DimensionError, match=r"\(24, 37\)"):
        resize(noise()[..., 0], 10)
    with pytest.raises(DimensionError):
        resize(np.zeros((0, 3, 3), np.uint8), 10)
    with pytest.raises(DTypeError, match="float64"):
        resize(noise() / 255, 10)
