"""The contract of learned maps for every aggregation, over a real vocabulary."""

import numpy as np
import pytest

from cbir.aggregation import AGGREGATIONS
from cbir.errors import DTypeError, ParameterError
from cbir.types import Bags
from cbir.vocabulary import KMeans
from tests.aggregation._nearest import clustered

CASES = [(cls, {}) for cls in AGGREGATIONS.values()] + [(AGGREGATIONS["bow"], {"n_assign": 3})]


@pytest.fixture(scope="module")
def bags():
    return clustered(np.random.default_rng(0), (90, 0, 300, 1, 17), 12, 16)[0]


@pytest.fixture(scope="module")
def words(bags):
    return KMeans(9, n_iter=3, seed=0).fit(bags.descriptors)


def dense(vectors):
    return vectors.to_dense() if hasattr(vectors, "to_dense") else vectors


@pytest.mark.parametrize(("cls", "arguments"), CASES)
def test_contract(cls, arguments, bags, words, tmp_path):
    learned = cls(words, **arguments)
    assert learned.fit(bags) is learned
    expected = dense(learned.transform(bags))
    assert expected.shape == (len(bags), learned.d)
    np.testing.assert_array_equal(dense(cls(words, **arguments).fit_transform(bags)), expected)
    for n_threads in (1, 2, 4):
        found = dense(learned.transform(bags, n_threads=n_threads))
        assert found.tobytes() == expected.tobytes()
    for i, x in enumerate(bags):  # no image depends on its neighbours
        alone = dense(learned.transform(Bags.of([x], d=bags.d)))
        np.testing.assert_array_equal(alone[0], expected[i])
    learned.save(tmp_path / "map")
    again = cls.load(tmp_path / "map", words)
    np.testing.assert_array_equal(dense(again.transform(bags)), expected)


@pytest.mark.parametrize(("cls", "arguments"), CASES)
def test_bad_values(cls, arguments, bags, words):
    learned = cls(words, **arguments).fit(bags)
    x = bags.descriptors.copy()
    x[7, 3] = np.nan
    with pytest.raises(ParameterError, match="row 7"):
        learned.transform(Bags(x, bags.offsets))
    with pytest.raises(DTypeError, match="expected float32"):
        learned.transform(Bags(x.astype(np.float16), bags.offsets))


class Foreign:
    """The same words behind another class: VLAD has to ask it for word ids."""

    def __init__(self, words):
        self.centroids_, self.predict = words.centroids_, words.predict
        self.predict_nearest = words.predict_nearest


@pytest.mark.parametrize(("n_words", "d"), [(9, 12), (70, 40)])
@pytest.mark.parametrize("steps", [(True, True, True), (False, True, True), (False, False, False)])
def test_vlad_reads_each_image_once_and_gives_the_same_bytes(simd_level, n_words, d, steps):
    bags = clustered(np.random.default_rng(1), (90, 0, 900, 1, 17, 400), d, 16)[0]
    words = KMeans(n_words, n_iter=2, seed=0).fit(bags.descriptors)
    flags = dict(zip(("signed_sqrt", "intra", "l2"), steps, strict=True))
    asked = AGGREGATIONS["vlad"](Foreign(words), **flags).transform(bags)
    for n_threads in (1, 3):
        at_once = AGGREGATIONS["vlad"](words, **flags).transform(bags, n_threads=n_threads)
        assert at_once.tobytes() == asked.tobytes()
