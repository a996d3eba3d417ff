"""Plain twin of `cbir.aggregation.bow`: dense, in float64.

Sivic, Zisserman, ICCV 2003; soft assignment: Philbin et al., CVPR 2008.
"""

import numpy as np


def count(word_ids, offsets, n_words, shares=None):
    """Histogram of each image, (n, n_words). `word_ids`, `shares` (N, n_assign); None is 1 each."""
    counts = np.zeros((len(offsets) - 1, n_words))
    for j in range(len(counts)):
        for i in range(offsets[j], offsets[j + 1]):
            for a in range(word_ids.shape[1]):
                counts[j, word_ids[i, a]] += 1.0 if shares is None else shares[i, a]
    return counts


def shares(squared, sigma):
    """Soft assignment: exp(-d2 / (2 sigma^2)) of the nearest words, scaled to sum 1 per row."""
    weight = np.exp(-squared / (2 * sigma**2))
    return weight / weight.sum(axis=1, keepdims=True)


def idf(counts):
    """ln(N / n_i) for a word that n_i of the N images hold, 0 where none does: (n_words,)."""
    held = np.count_nonzero(counts, axis=0)
    return np.array([np.log(len(counts) / n) if n else 0.0 for n in held])


def weigh(counts, idf, *, tf="sqrt", norm="l2"):
    """tf(count) * idf, then each row divided by its L1 or L2 norm; zero rows stay zero."""
    weights = {"raw": counts, "log": np.log(1 + counts), "sqrt": np.sqrt(counts)}[tf] * idf
    length = {
        "l1": np.abs(weights).sum(axis=1),
        "l2": np.sqrt((weights**2).sum(axis=1)),
        "none": np.ones(len(weights)),
    }[norm]
    return weights / np.where(length > 0, length, 1)[:, None]
