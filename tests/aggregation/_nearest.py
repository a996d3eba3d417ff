"""A vocabulary of given centroids in NumPy, so that these tests stand on no other kernel."""

import numpy as np


class Nearest:
    """Does what an aggregation asks of `cbir.vocabulary.KMeans`; ties go to the lower word."""

    def __init__(self, centroids=None):
        if centroids is not None:
            self.centroids_ = np.ascontiguousarray(centroids, np.float32)

    def squared(self, x):
        x, c = x.astype(np.float64), self.centroids_.astype(np.float64)
        return np.maximum((x**2).sum(1)[:, None] - 2 * x @ c.T + (c**2).sum(1), 0)

    def predict(self, x, *, n_threads=None):
        return self.squared(x).argmin(1).astype(np.int32)

    def predict_nearest(self, x, n_assign, *, n_threads=None):
        squared = self.squared(x)
        order = np.argsort(squared, axis=1, kind="stable")[:, :n_assign]
        return order.astype(np.int32), np.take_along_axis(squared, order, 1).astype(np.float32)


def clustered(rng, sizes, k, d, spread=0.3):
    """Bags of the given sizes around k centroids, and the centroids."""
    from cbir.types import Bags

    centroids = rng.standard_normal((k, d)).astype(np.float32)
    # Words follow a power law, as those of photographs do, so that some stay empty.
    law = 1.0 / np.arange(1, k + 1)
    n = int(sum(sizes))
    words = rng.choice(k, n, p=law / law.sum())
    x = centroids[words] + spread * rng.standard_normal((n, d))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Bags(np.ascontiguousarray(x, np.float32), offsets), centroids
