"""L2, power and signed square root: the formula, zero rows, extremes."""

import numpy as np
import pytest

from cbir.transforms import L2, TRANSFORMS, Power, SignedSqrt
from tests.tolerances import gamma

D = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 127, 129, 960]


def rows(d, n=50, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    x[n // 2] = 0
    return x


@pytest.mark.parametrize("d", D)
def test_l2_is_the_formula(d):
    x = rows(d)
    y = L2().transform(x)
    zero = ~x.any(axis=1)
    assert not y[zero].any()
    exact = x[~zero].astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(y[~zero], exact, rtol=gamma(2))


def test_l2_of_what_float32_cannot_square():
    for scale in (1e-30, 1e30):
        np.testing.assert_allclose(L2().transform(np.float32([[3, 4]]) * scale), [[0.6, 0.8]])


@pytest.mark.parametrize("d", D)
@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.7, 1])
def test_power_is_the_formula(d, alpha):
    x = rows(d)
    exact = np.sign(x) * np.abs(x.astype(np.float64)) ** np.float64(np.float32(alpha))
    np.testing.assert_allclose(Power(alpha).transform(x), exact, rtol=8 * gamma(1))


def test_signed_sqrt_is_rounded_once():
    x = rows(33)
    exact = np.sign(x) * np.sqrt(np.abs(x.astype(np.float64)))
    np.testing.assert_array_equal(SignedSqrt().transform(x), exact.astype(np.float32))
    np.testing.assert_allclose(SignedSqrt().transform(x), Power(0.5).transform(x), rtol=gamma(4))


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_zero_rows_stay_zero(name):
    """A picture without descriptors must not become similar to something."""
    made = TRANSFORMS[name](3) if name == "pca" else TRANSFORMS[name]()
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    made.fit(x)
    assert not made.transform(np.zeros((3, 6), np.float32)).any()
    assert made.transform(x).any(axis=1).all()


@pytest.mark.parametrize("alpha", [0, -1, 1.5, 1e-50, float("nan"), "half"])
def test_power_out_of_range(alpha):
    with pytest.raises(ValueError, match="alpha"):
        Power(alpha).transform(np.ones((1, 2), np.float32))
