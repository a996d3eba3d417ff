"""The values that travel between stages."""

import numpy as np
import pytest

from cbir.types import Bags, SparseVectors


def test_rows_are_counted_from_either_end():
    bags = Bags.of([np.ones((2, 3), np.float32), np.zeros((1, 3), np.float32)])
    rows = SparseVectors.from_dense(np.float32([[1, 0], [0, 2]]))
    np.testing.assert_array_equal(bags[-1], bags[1])
    np.testing.assert_array_equal(bags[-2], bags[0])
    assert [part.tolist() for part in rows[-1]] == [[1], [2.0]]
    assert len(list(rows)) == len(list(bags)) == 2
    for value, i in ((bags, 2), (bags, -3), (rows, 2), (rows, -3)):
        with pytest.raises(IndexError, match=f"there is no row {i}, there are 2"):
            value[i]
