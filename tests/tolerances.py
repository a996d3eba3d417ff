"""How far float32 kernels may be from the exact value: one table, each entry derived.

u = 2^-24 is the unit roundoff of float32, and gamma(m) = m u / (1 - m u) bounds m roundings in a
row (Higham,
Accuracy and Stability of Numerical Algorithms, 2002, lemma 3.1), whatever the order of the
additions.
"""

import numpy as np

U = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}


def gamma(m, dtype=np.float32):
    u = U[np.dtype(dtype)]
    return m * u / (1 - m * u)


def dot(x, y, dtype=np.float32):
    """Bound of |fl(x.y) - x.y|: gamma(d) sum |x_t y_t|, for every pair of rows, (n, m)."""
    return gamma(x.shape[-1], dtype) * (
        np.abs(x).astype(np.float64) @ np.abs(y).astype(np.float64).T
    )


def squared_distance(exact, d, dtype=np.float32):
    """Bound for |x - c|^2: a difference, its square and d - 1 sums, each rounded."""
    return gamma(d + 2, dtype) * exact


def score(x, c, dtype=np.float32):
    """Bound for x.c - |c|^2 / 2, the value whose argmax assigns, for every pair of rows, (n, m).

    Both are taken relative to the mean of c where it is far (csrc/kmeans/words.cpp): what counts is
    how far points and words are from each other. Two more roundings, of the differences.
    """
    from cbir.reference.kmeans import origin

    shift = origin(c)
    x, c = np.asarray(x, np.float64) - shift, np.asarray(c, np.float64) - shift
    half = (c**2).sum(axis=1) / 2
    absolute = np.abs(x) @ np.abs(c).T
    return gamma(x.shape[-1] + 4, dtype) * (absolute + half)


def mean(x, dtype=np.float32):
    """Bound for the mean of rows summed in double: one rounding to `dtype`, per column."""
    return 2 * U[np.dtype(dtype)] * np.abs(x).astype(np.float64).mean(axis=0)


def inertia(exact, d):
    """Bound for the sum, in double, of squared distances each rounded to float32."""
    return gamma(d + 4) * exact


def assert_nearest(word_ids, x, centroids, distances):
    """Each word must be the nearest, or tie with it within the error of two scores.

    `distances` : (n, n_words) exact squared distances. Half their difference is the difference of
        the scores.
    """
    if not len(x):
        return
    rows = np.arange(len(x))
    best = distances.argmin(axis=1)
    bound = score(x, centroids)
    slack = 2 * (bound[rows, best] + bound[rows, word_ids])
    excess = distances[rows, word_ids] - distances[rows, best]
    worst = int((excess - slack).argmax())
    assert (excess <= slack).all(), (
        f"row {worst}: word {word_ids[worst]} is {excess[worst]:.3g} farther than {best[worst]}, "
        f"allowed are {slack[worst]:.3g}"
    )
