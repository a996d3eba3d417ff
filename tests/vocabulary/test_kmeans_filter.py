"""The 8-bit filter of level avx512v gives the very words of the plain kernel, on any data."""

import numpy as np
import pytest

from cbir import _core

pytestmark = pytest.mark.skipif("avx512v" not in _core.simd_levels(), reason="needs VNNI")


@pytest.fixture
def both():
    before = _core.simd_level()

    def run(x, c):
        words = _core.KMeansWords(c)
        found = []
        for level in ("avx512", "avx512v"):
            _core.set_simd_level(level)
            found.append(words.assign(x, 2))
            if level == "avx512":
                assert words.n_filtered == 0
        run.filtered = words.n_filtered
        return found

    yield run
    _core.set_simd_level(before)


def data(kind, n, d, rng):
    x = rng.normal(size=(n, d))
    if kind == "root":  # like RootSIFT: non-negative, length 1
        x = np.sqrt(np.abs(x) / np.abs(x).sum(axis=1, keepdims=True))
    elif kind == "far":  # far from the origin: scores lose their digits, ties by rounding abound
        x += 1000
    elif kind == "grid":  # exact ties
        x = np.round(x)
    elif kind == "scales":  # lengths over ten orders of magnitude
        x *= 10.0 ** rng.integers(-5, 6, size=(n, 1))
    elif kind == "spike":  # one dimension swallows the 8 bits: the plain kernel takes over
        x[:, 0] *= 1e6
    elif kind == "tiny":
        x *= 1e-33
    elif kind == "equal":
        x[:] = x[0]
    return x.astype(np.float32)


KINDS = ["root", "far", "grid", "scales", "spike", "tiny", "equal"]
FILTERED = ("root", "far", "grid")  # nearly all points are decided by the filter
SIZES = [(32, 64), (33, 65), (35, 257), (128, 1024), (130, 700), (961, 300)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("d", "k"), SIZES)
def test_same_words(both, kind, d, k):
    rng = np.random.default_rng(d + k)
    c = data(kind, k, d, rng)
    for n in (1, 5, 13, 700):
        plain, filtered = both(data(kind, n, d, rng), c)
        np.testing.assert_array_equal(filtered, plain)
        if kind in FILTERED:
            assert both.filtered >= 0.9 * n
        if kind == "equal":
            assert both.filtered == 0


def test_small_vocabularies_are_not_filtered(both):
    c = data("root", 63, 128, np.random.default_rng(3))
    both(c, c)
    assert both.filtered == 0


def test_points_on_words_and_half_way(both):
    rng = np.random.default_rng(1)
    c = data("root", 500, 128, rng)
    c[100:200] = c[:100]
    x = np.concatenate([c, (c[:250] + c[250:]) / 2]).astype(np.float32)
    plain, filtered = both(x, c)
    np.testing.assert_array_equal(filtered, plain)
    assert (filtered[100:200] < 100).all()


def test_points_of_another_world(both):
    rng = np.random.default_rng(2)
    c = data("root", 500, 64, rng)
    for factor in (0, 1e-30, 1e10, 1e30):
        plain, filtered = both((factor * rng.normal(size=(100, 64))).astype(np.float32), c)
        np.testing.assert_array_equal(filtered, plain)
