"""Plain twin of csrc/vlad (Jegou et al., CVPR 2010 and PAMI 2012). Computes in the dtype of `x`."""

from itertools import pairwise

import numpy as np


def assign(x, centroids):
    """Nearest word of each row: least |x - c|^2 - |x|^2 = |c|^2 - 2 x c."""
    return np.argmin((centroids**2).sum(axis=1) - 2 * x @ centroids.T, axis=1)


def encode(x, offsets, word_ids, centroids, *, signed_sqrt=True, intra=True, l2=True):
    """One row of n_words * d per image; image j has rows offsets[j] to offsets[j + 1] of `x`."""
    n_words, d = centroids.shape
    out = np.zeros((len(offsets) - 1, n_words * d), x.dtype)
    for j, (begin, end) in enumerate(pairwise(offsets)):
        # belongs[i, m] is 1 where descriptor m has word i; the product is, for each word,
        #     sum(x[m] for m in range(begin, end) if word_ids[m] == i)
        belongs = (word_ids[begin:end] == np.arange(n_words)[:, None]).astype(x.dtype)
        blocks = belongs @ x[begin:end] - belongs.sum(axis=1)[:, None] * centroids
        if signed_sqrt:
            blocks = np.sign(blocks) * np.sqrt(np.abs(blocks))
        if intra:
            blocks = unit(blocks)
        v = blocks.reshape(1, -1)
        out[j] = unit(v) if l2 else v
    return out


def unit(rows):
    """Each row divided by its length; zero rows stay zero."""
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return rows / np.where(length > 0, length, 1)
