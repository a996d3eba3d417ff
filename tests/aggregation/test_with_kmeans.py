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
