"""VLAD against hand-computed answers and its twin, at every SIMD level."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir import _core
from cbir.aggregation import AGGREGATIONS, VLAD
from cbir.errors import DimensionError, DTypeError, FormatError, NotTrainedError, ParameterError
from cbir.reference import vlad as twin
from cbir.types import Bags, Vectors
from tests import tolerances
from tests.aggregation._nearest import Nearest, clustered

SWITCHES = [
    dict(zip(("signed_sqrt", "intra", "l2"), on, strict=True))
    for on in itertools.product([False, True], repeat=3)
]
OFF = SWITCHES[0]
WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 144, 960]


def encode(bags, word_ids, centroids, n_threads=1, **switches):
    out = np.full((len(bags), centroids.size), np.nan, np.float32)
    _core.vlad_encode(
        bags.descriptors,
        bags.offsets,
        word_ids,
        centroids,
        **switches,
        n_threads=n_threads,
        out=out,
    )
    return out


def blocks_of(x, offsets, word_ids, centroids):
    """Sums and sums of absolute values of the residuals, (n, k, d), and how many, (n, k, 1)."""
    k, d = centroids.shape
    image = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    sums, absolute = np.zeros((2, len(offsets) - 1, k, d))
    residuals = x - centroids[word_ids].astype(np.float64)
    np.add.at(sums, (image, word_ids), residuals)
    np.add.at(absolute, (image, word_ids), np.abs(residuals))
    counts = np.zeros((len(offsets) - 1, k, 1))
    np.add.at(counts, (image, word_ids), 1)
    return sums, absolute, counts


def bound(v, absolute, counts, *, signed_sqrt, intra, l2):
    """How far each component may be off: the error of its sum, carried through the steps.

    A sum of n differences in float32 is off by gamma(n + 1) times the sum of their absolute values.
    """
    u = tolerances.U[np.dtype(np.float32)]
    e = (counts + 1) * u / (1 - (counts + 1) * u) * absolute
    if (
        signed_sqrt
    ):  # |sign(a) sqrt|a| - sign(b) sqrt|b|| <= sqrt(2 |a - b|), less where both are large
        safe = np.maximum(np.abs(v) - e, 1e-300)
        e = np.minimum(np.sqrt(2 * e), e / np.sqrt(safe))
        v = np.sign(v) * np.sqrt(np.abs(v))
        e = e + u * np.abs(v)
    if intra:
        v, e = divided(v, e, axis=2)
    flat = len(v), v.shape[1] * v.shape[2]
    v, e = v.reshape(flat), e.reshape(flat)
    return divided(v, e, axis=1)[1] if l2 else e


def divided(v, e, axis):
    """Components and errors once more, after division by the length along `axis`."""
    length = np.sqrt((v**2).sum(axis=axis, keepdims=True))
    off = np.sqrt((e**2).sum(axis=axis, keepdims=True))
    there = length > 0
    least = np.maximum(length - off, 1e-300)
    w = np.where(there, v / np.where(there, length, 1), 0)
    # the rounding of the factor and of the product, and that of the length
    more = (e + np.abs(w) * off) / least + 4 * tolerances.U[np.dtype(np.float32)] * np.abs(w)
    return w, np.where(there, np.minimum(more, 2), 0)


def test_hand_computed():
    # words (0, 0) and (10, 10); the image holds (4, 0), (5, 0), (10, 6)
    words = Nearest([[0, 0], [10, 10]])
    bags = Bags.of([np.float32([[4, 0], [5, 0], [10, 6]])])
    # residuals (4, 0) + (5, 0) = (9, 0) and (0, -4)
    v = VLAD(words, **OFF).transform(bags)
    np.testing.assert_array_equal(v, [[9, 0, 0, -4]])
    v = VLAD(words, signed_sqrt=True, intra=False, l2=False).transform(bags)
    np.testing.assert_array_equal(v, [[3, 0, 0, -2]])
    v = VLAD(words, signed_sqrt=True, intra=True, l2=False).transform(bags)
    np.testing.assert_array_equal(v, [[1, 0, 0, -1]])
    v = VLAD(words).transform(bags)  # two blocks of length 1
    np.testing.assert_allclose(v, [[0.5**0.5, 0, 0, -(0.5**0.5)]], rtol=1e-7)
    v = VLAD(words, signed_sqrt=True, intra=False, l2=True).transform(bags)
    np.testing.assert_allclose(v, np.array([[3, 0, 0, -2]]) / np.sqrt(13), rtol=1e-6)


def test_order_of_the_steps_matters_and_is_vlfeats():
    # One word at 0, one descriptor (16, 9). Root first: (4, 3) / 5. Root last: sqrt((16, 9) / |.|),
    # which is (0.934, 0.700).
    bags = Bags.of([np.float32([[16, 9]])])
    v = VLAD(Nearest([[0, 0]]), l2=False).transform(bags)
    np.testing.assert_allclose(v, [[0.8, 0.6]], rtol=1e-6)


@pytest.mark.parametrize("d", WIDTHS)
def test_twin(d, simd_level):
    rng = np.random.default_rng(d)
    for sizes, k in (((), 3), ((0,), 1), ((1, 0, 2), 5), ((1000, 3), 17), ((40,) * 20, 9)):
        bags, centroids = clustered(rng, sizes, k, d)
        word_ids = Nearest(centroids).predict(bags.descriptors)
        x = bags.descriptors.astype(np.float64)
        sums, absolute, counts = blocks_of(x, bags.offsets, word_ids, centroids)
        for switches in SWITCHES:
            expected = twin.encode(
                x, bags.offsets, word_ids, centroids.astype(np.float64), **switches
            )
            found = encode(bags, word_ids, centroids, **switches)
            allowed = bound(sums, absolute, counts, **switches)
            assert (np.abs(found - expected) <= allowed).all()


@pytest.mark.parametrize("d", WIDTHS)
def test_every_level_and_thread_count_gives_the_same_bytes(d):
    bags, centroids = clustered(np.random.default_rng(d), (3, 0, 500, 1) * 5, 11, d)
    word_ids = Nearest(centroids).predict(bags.descriptors)
    before = _core.simd_level()
    try:
        for switches in SWITCHES:
            found = set()
            for level in _core.simd_levels():
                _core.set_simd_level(level)
                for n_threads in (1, 2, 4):
                    found.add(encode(bags, word_ids, centroids, n_threads, **switches).tobytes())
            assert len(found) == 1
    finally:
        _core.set_simd_level(before)


def test_a_block_is_the_sum_of_residuals(simd_level):
    bags, centroids = clustered(np.random.default_rng(1), (300, 20), 8, 6)
    words = Nearest(centroids)
    v = VLAD(words, **OFF).transform(bags).reshape(2, 8, 6)
    for image, x in enumerate(bags):
        ids = words.predict(x)
        for i in range(8):
            expected = (x[ids == i].astype(np.float64) - centroids[i]).sum(axis=0)
            np.testing.assert_allclose(v[image, i], expected, rtol=1e-5, atol=1e-4)


def test_zero_stays_zero(simd_level):
    centroids = np.float32([[0, 0, 0], [9, 9, 9]])
    bags = Bags.of([centroids, np.zeros((0, 3), np.float32), np.float32([[1, 0, 0], [-1, 0, 0]])])
    for switches in SWITCHES:  # residuals zero, no residuals, residuals that cancel
        v = VLAD(Nearest(centroids), **switches).transform(bags)
        np.testing.assert_array_equal(v, np.zeros((3, 6)))


@pytest.mark.parametrize("size", [1e-44, 1e-40, 1e-30, 1e-20, 1e18, 3e38])
def test_extreme_lengths_are_normalised(size, simd_level):
    # Squares of these vanish or overflow in float32; so does 1 / length of the first and the last.
    bags = Bags.of([np.full((1, 20), size, np.float32)])
    words = Nearest(np.zeros((1, 20)))
    for switches in ({"intra": True, "l2": False}, {"intra": False, "l2": True}):
        v = VLAD(words, signed_sqrt=False, **switches).transform(bags)
        np.testing.assert_allclose(v, np.full((1, 20), 20**-0.5), rtol=1e-6)


def test_sums_beyond_float32(simd_level):
    bags = Bags.of([np.full((2, 20), 3e38, np.float32)])
    words = Nearest(np.zeros((1, 20)))
    assert np.isinf(VLAD(words, **OFF).transform(bags)).all()  # the nearest float32 there is
    for switches in SWITCHES[1:]:
        if switches["intra"] or switches["l2"]:
            with pytest.raises(ParameterError, match="beyond float32; scale the descriptors down"):
                VLAD(words, **switches).transform(bags)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 12), max_size=20),
    k=st.integers(1, 9),
    d=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_identities(sizes, k, d, seed):
    bags, centroids = clustered(np.random.default_rng(seed), sizes, k, d)
    words = Nearest(centroids)
    v = VLAD(words).transform(bags).astype(np.float64)
    there = np.diff(bags.offsets) > 0
    np.testing.assert_allclose((v[there] ** 2).sum(axis=1), 1, rtol=1e-5)
    assert not v[~there].any()
    # adding an image's descriptors to another's adds their raw vectors
    raw = VLAD(words, **OFF).transform(bags)
    joined = Bags(bags.descriptors, np.array([0, len(bags.descriptors)], np.int64))
    together = VLAD(words, **OFF).transform(joined)
    np.testing.assert_allclose(together[0], raw.sum(axis=0), rtol=1e-4, atol=1e-3)
    # encoding images one by one changes nothing
    for i, x in enumerate(bags):
        np.testing.assert_array_equal(VLAD(words).transform(Bags.of([x], d=d))[0], v[i])


def test_binding_refuses():
    x, offsets = np.zeros((2, 3), np.float32), np.array([0, 2], np.int64)
    words, centroids = np.zeros(2, np.int32), np.zeros((4, 3), np.float32)
    out = np.zeros((1, 12), np.float32)

    def call(x=x, offsets=offsets, words=words, centroids=centroids, out=out):
        _core.vlad_encode(
            x,
            offsets,
            words,
            centroids,
            signed_sqrt=True,
            intra=True,
            l2=True,
            n_threads=1,
            out=out,
        )

    call()
    for wrong in (
        {"offsets": np.array([0, 1], np.int64)},
        {"offsets": np.array([0, 3, 2], np.int64), "out": np.zeros((2, 12), np.float32)},
        {"offsets": np.array([], np.int64)},
        {"words": np.int32([0, 4])},
        {"words": np.int32([0, -1])},
        {"words": np.int32([0])},
        {"centroids": np.zeros((4, 2), np.float32)},
        {"out": np.zeros((1, 11), np.float32)},
        {"x": np.zeros(6, np.float32)},
    ):
        with pytest.raises(ValueError, match=r"must|expected"):
            call(**wrong)
    for wrong in ({"x": x.astype(np.float64)}, {"x": np.asfortranarray(x)}, {"words": [0, 0]}):
        with pytest.raises(TypeError, match="incompatible"):
            call(**wrong)


def test_errors():
    words = Nearest([[0, 0], [1, 1]])
    with pytest.raises(NotTrainedError, match="vocabulary"):
        VLAD(Nearest()).transform(Bags.of([], d=2))
    with pytest.raises(DimensionError, match="bags has d=3, the vocabulary has d=2"):
        VLAD(words).transform(Bags.of([np.zeros((1, 3), np.float32)]))
    with pytest.raises(DTypeError, match=r"Bags\.of"):
        VLAD(words).fit(np.zeros((1, 2), np.float32))
    for wrong in ({"intra": "yes"}, {"l2": 1}, {"signed_sqrt": None}, {"n_threads": -1}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            VLAD(words, **wrong)


def test_save_and_load(tmp_path):
    bags, centroids = clustered(np.random.default_rng(6), (20, 0, 5), 4, 3)
    vlad = VLAD(Nearest(centroids), signed_sqrt=False, n_threads=1)
    vlad.save(tmp_path / "vlad")
    again = VLAD.load(tmp_path / "vlad", vlad.vocabulary)
    assert (again.signed_sqrt, again.intra, again.l2, again.n_threads) == (False, True, True, 1)
    expected = vlad.fit_transform(bags)
    np.testing.assert_array_equal(again.transform(bags), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(vlad)).transform(bags), expected)
    with pytest.raises(FormatError):
        VLAD.load(tmp_path / "nothing", vlad.vocabulary)


def test_registry():
    assert AGGREGATIONS["vlad"] is VLAD
    assert VLAD.takes is Bags
    assert VLAD.gives == Vectors
    assert not VLAD.learns
    assert VLAD(Nearest(np.zeros((4, 3)))).d == 12
