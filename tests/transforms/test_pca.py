"""PCA: the definition, scikit-learn's, zero rows, ranks, files, and bytes that don't depend."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.errors import FormatError, ParameterError
from cbir.transforms import PCA


def cloud(n=300, width=20, seed=0):
    """Points of falling spread along random directions, off the origin."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(width, width)))
    x = rng.normal(size=(n, width)) * 0.8 ** np.arange(width) @ turn + rng.normal(size=width)
    return x.astype(np.float32)


@pytest.mark.parametrize(("n", "width"), [(300, 20), (20, 300), (50, 50), (49, 50), (51, 50)])
def test_is_the_definition(n, width):
    """Both roads, by columns and by rows, against eigenvectors of the covariance in float64."""
    x = cloud(n, width)
    pca = PCA(6).fit(x)
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred / (n - 1))
    values, vectors = values[::-1][:6], vectors[:, ::-1][:, :6].T
    np.testing.assert_allclose(pca.variances_, values, rtol=1e-5)
    # Directions up to sign, as near as the gap between their variances lets float32 be.
    np.testing.assert_allclose(np.abs((pca.components_ * vectors).sum(axis=1)), 1, atol=1e-5)
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(6), atol=1e-6)
    expected = centred @ pca.components_.T.astype(np.float64)
    np.testing.assert_allclose(pca.transform(x), expected, atol=1e-5)


def test_hand_data():
    """Rows on the line (1, 1): one direction, (1, 1) / sqrt(2), and places -1.5 ... 1.5 sqrt(2)."""
    x = np.float32([[1, 1], [2, 2], [3, 3], [4, 4]])
    pca = PCA(1).fit(x)
    np.testing.assert_allclose(pca.components_, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)
    np.testing.assert_allclose(pca.variances_, [10 / 3], rtol=1e-6)  # 2 (2.25 + .25) 2 / 3
    places = np.float32([[-1.5], [-0.5], [0.5], [1.5]]) * np.float32(2**0.5)
    np.testing.assert_allclose(pca.transform(x), places, rtol=1e-5)


def test_largest_component_of_a_direction_is_positive():
    pca = PCA(8).fit(cloud())
    rows = np.arange(8)
    assert (pca.components_[rows, np.abs(pca.components_).argmax(axis=1)] > 0).all()
    np.testing.assert_array_equal(PCA(8).fit(-cloud()).components_, pca.components_)


def test_whitening_gives_every_direction_variance_one():
    x = cloud()
    y = PCA(9, whiten=True).fit(x).transform(x)
    np.testing.assert_allclose(np.cov(y.T), np.eye(9), atol=2e-5)


def test_distances_fall_to_those_of_all_directions():
    """With all directions kept, nothing is lost: a turned copy."""
    x = cloud(200, 10)
    y = PCA(10).fit(x).transform(x)
    before = np.linalg.norm(x[:, None] - x[None], axis=2)
    after = np.linalg.norm(y[:, None] - y[None], axis=2)
    np.testing.assert_allclose(after, before, atol=2e-5)


@pytest.mark.reference
@pytest.mark.parametrize("whiten", [False, True])
def test_is_sklearns_up_to_sign(whiten):
    from sklearn.decomposition import PCA as Oracle

    x = cloud(500, 40)
    ours = PCA(12, whiten=whiten).fit(x).transform(x)
    theirs = Oracle(12, whiten=whiten, svd_solver="full").fit_transform(x.astype(np.float64))
    theirs *= np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs, atol=3e-5)


@pytest.mark.parametrize("whiten", [False, True])
def test_a_zero_row_stays_zero_and_is_not_learned_from(whiten):
    x = cloud()
    with_zeros = np.insert(x, [0, 50, 300], 0, axis=0)
    pca = PCA(5, whiten=whiten).fit(with_zeros)
    np.testing.assert_array_equal(pca.components_, PCA(5).fit(x).components_)
    y = pca.transform(with_zeros)
    zero = ~with_zeros.any(axis=1)
    assert zero.sum() == 3
    assert not y[zero].any()
    np.testing.assert_array_equal(y[~zero], pca.transform(x))


@settings(max_examples=30, deadline=None)
@given(
    width=st.sampled_from([1, 2, 7, 17, 129, 1000]),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    scale=st.sampled_from([1e-30, 1.0, 1e12]),
    seed=st.integers(0, 99),
)
def test_bytes_do_not_depend_on_the_batch(width, cuts, scale, seed):
    """Exact sums: any cut, any neighbours, the same bytes. A product by BLAS fails this."""
    x = (cloud(60, width, seed) * scale).astype(np.float32)
    pca = PCA(min(5, width)).fit(x)
    whole = pca.transform(x)
    parts = [pca.transform(part) for part in np.split(x, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    centred = x.astype(np.float64) - pca.mean_
    expected = centred @ pca.components_.T.astype(np.float64)
    # Directions are kept to 24 bits, and the answer is float32.
    bound = 2.0**-23 * np.abs(centred).sum(axis=1, keepdims=True)
    assert (np.abs(whole - expected) <= bound).all()


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("width", [8, 200])
def test_more_directions_than_the_data_spans(rank, width):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(100, rank)) @ rng.normal(size=(rank, width))).astype(np.float32)
    PCA(rank).fit(x)
    with pytest.raises(ParameterError, match=f"d={rank + 1}.*span only {rank} directions"):
        PCA(rank + 1).fit(x)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (cloud(5, 20), "d=6, but the 5 rows .* span only 4"),
        (cloud(30, 4), "d=6, but a row of x has only 4 numbers"),
        (np.zeros((30, 20), np.float32), "the 0 rows of x that aren't zero span only 0"),
        (np.ones((30, 20), np.float32), "span only 0"),
        (np.zeros((0, 20), np.float32), "span only 0"),
    ],
)
def test_too_little_to_learn_from(x, message):
    with pytest.raises(ParameterError, match=message):
        PCA(6, whiten=True).fit(x)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_variances_beyond_float32(tmp_path, scale):
    x = cloud() * np.float32(scale)
    pca = PCA(2).fit(x)
    pca.save(tmp_path / "pca")
    np.testing.assert_array_equal(PCA.load(tmp_path / "pca").transform(x), pca.transform(x))
    with pytest.raises(ParameterError, match="beyond float32; scale"):
        PCA(2, whiten=True).fit(x)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", np.zeros((4, 5), np.float32)),
        ("mean", np.zeros(20, np.float64)),
        ("mean", np.full(20, np.nan, np.float32)),
        ("components", np.zeros((4, 20), np.float32)),
        ("variances", np.zeros(5, np.float32)),
        ("variances", np.float32(1)),
    ],
)
def test_files_that_cannot_be_true(tmp_path, name, value):
    pca = PCA(5).fit(cloud())
    setattr(pca, f"{name}_", value)
    pca.save(tmp_path / "pca")
    with pytest.raises(FormatError, match=f"PCA.load.*{name}"):
        PCA.load(tmp_path / "pca")


@pytest.mark.parametrize("params", [{}, {"d": 5, "whiten": False, "x": 1}, {"d": "5"}])
def test_parameters_that_cannot_be_true(tmp_path, params):
    PCA(5).fit(cloud()).save(tmp_path / "pca")
    manifest = tmp_path / "pca" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"params": params}))
    with pytest.raises(FormatError, match=r"PCA\.load"):
        PCA.load(tmp_path / "pca")
