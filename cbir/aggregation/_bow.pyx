# distutils: language = c++
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Flat loops of `cbir.aggregation.bow`: count the words of each image, weigh the counts.

Counting is a radix sort of an image's words, 8 bits a pass, and a walk over the runs: no step costs
n_words per image, and no branch depends on the data. Both functions refuse arrays that don't fit each
other before they touch them.
"""

import numpy as np

from libc.math cimport log1p, sqrt
from libc.stdint cimport int32_t, int64_t
from libcpp.vector cimport vector


cdef struct Vote:
    int32_t word
    float share


cdef int sort_by_word(vector[Vote]& votes, vector[Vote]& spare, int n_bits) except -1 nogil:
    """Stable, by the lowest `n_bits` bits of the word; `spare` is scratch space, whose growth may
    raise MemoryError.
    """
    cdef int64_t start[257]
    cdef int64_t i, n = votes.size()
    cdef int shift = 0, digit
    spare.resize(n)
    while shift < n_bits:
        for i in range(257):
            start[i] = 0
        for i in range(n):
            start[((votes[i].word >> shift) & 255) + 1] += 1
        for i in range(1, 257):
            start[i] += start[i - 1]
        for i in range(n):
            digit = (votes[i].word >> shift) & 255
            spare[start[digit]] = votes[i]
            start[digit] += 1
        votes.swap(spare)
        shift += 8
    return 0


cdef check_offsets(const int64_t[::1] offsets, int64_t total, what):
    """Raise ValueError unless `offsets` rise from 0 to `total`, the number of `what`."""
    cdef int64_t b, n = offsets.shape[0]
    cdef bint rising = True
    if n == 0 or offsets[0] != 0 or offsets[n - 1] != total:
        ends = f"{offsets[0]} to {offsets[n - 1]}" if n else "none"
        raise ValueError(f"offsets must go from 0 to {total}, the number of {what}; found {ends}")
    with nogil:
        for b in range(n - 1):
            rising &= offsets[b] <= offsets[b + 1]
    if not rising:
        raise ValueError("offsets must not fall")


def count(
    const int32_t[:, ::1] word_ids,  # IN (N, n_assign)
    const float[:, ::1] shares,  # IN (N, n_assign), or None: 1 each
    const int64_t[::1] offsets,  # IN (n + 1,)
    int64_t n_words,
):
    """Give word_ids (nnz,) int32, counts (nnz,) float32, offsets (n + 1,) int64 of the histograms.

    counts[image, word] = sum of the shares, in the order of the descriptors, in float64.
    """
    cdef int64_t n = offsets.shape[0] - 1, n_assign = word_ids.shape[1]
    cdef int64_t b, i, a, n_votes, n_out = 0
    cdef int32_t w, low = 0, high = -1
    cdef int n_bits = int(min(n_words, 2**31) - 1).bit_length() if n_words > 1 else 0
    cdef bint soft = shares is not None
    cdef double total
    cdef Vote vote
    cdef vector[Vote] votes, spare
    check_offsets(offsets, word_ids.shape[0], "rows of word_ids")
    if soft and (shares.shape[0] != word_ids.shape[0] or shares.shape[1] != n_assign):
        raise ValueError(
            f"shares are {shares.shape[0]} x {shares.shape[1]}, "
            f"word_ids {word_ids.shape[0]} x {n_assign}"
        )
    out_words = np.empty(word_ids.shape[0] * n_assign, np.int32)
    out_counts = np.empty(word_ids.shape[0] * n_assign, np.float32)
    out_offsets = np.zeros(n + 1, np.int64)
    cdef int32_t[::1] o_words = out_words
    cdef float[::1] o_counts = out_counts
    cdef int64_t[::1] o_offsets = out_offsets
    with nogil:
        for i in range(word_ids.shape[0]):
            for a in range(n_assign):
                low = min(low, word_ids[i, a])
                high = max(high, word_ids[i, a])
    if low < 0 or high >= n_words:
        raise ValueError(f"word ids are {low} to {high}, expected 0 to {n_words - 1}")
    with nogil:
        for b in range(n):
            votes.clear()
            votes.reserve((offsets[b + 1] - offsets[b]) * n_assign)
            for i in range(offsets[b], offsets[b + 1]):
                for a in range(n_assign):
                    vote.word = word_ids[i, a]
                    vote.share = shares[i, a] if soft else 1.0
                    votes.push_back(vote)
            sort_by_word(votes, spare, n_bits)
            n_votes = votes.size()
            i = 0
            while i < n_votes:
                w = votes[i].word
                total = 0
                while i < n_votes and votes[i].word == w:
                    total += votes[i].share
                    i += 1
                if total > 0:  # a share may have vanished in float32
                    o_words[n_out] = w
                    o_counts[n_out] = <float>total
                    n_out += 1
            o_offsets[b + 1] = n_out
    return out_words[:n_out].copy(), out_counts[:n_out].copy(), out_offsets


def weigh(
    const int32_t[::1] word_ids,  # IN (nnz,)
    const float[::1] counts,  # IN (nnz,)
    const int64_t[::1] offsets,  # IN (n + 1,)
    const float[::1] idf,  # IN (n_words,)
    int tf,  # 0 raw, 1 log, 2 sqrt
    int norm,  # 0 l1, 1 l2, 2 none
):
    """Give word_ids, weights, offsets: weight = tf(count) idf / norm, without the zeros."""
    cdef int64_t n = offsets.shape[0] - 1, b, i, start, n_out = 0
    cdef double value, length
    cdef vector[double] row  # of the image at hand, before the norm
    cdef int32_t low = 0, high = -1
    check_offsets(offsets, word_ids.shape[0], "word_ids")
    if counts.shape[0] != word_ids.shape[0]:
        raise ValueError(f"counts are {counts.shape[0]}, word_ids {word_ids.shape[0]}")
    with nogil:
        for i in range(word_ids.shape[0]):
            low = min(low, word_ids[i])
            high = max(high, word_ids[i])
    if low < 0 or high >= idf.shape[0]:
        raise ValueError(f"word ids are {low} to {high}, expected 0 to {idf.shape[0] - 1}")
    out_words = np.empty(word_ids.shape[0], np.int32)
    out_weights = np.empty(word_ids.shape[0], np.float32)
    out_offsets = np.zeros(n + 1, np.int64)
    cdef int32_t[::1] o_words = out_words
    cdef float[::1] o_weights = out_weights
    cdef int64_t[::1] o_offsets = out_offsets
    with nogil:
        for b in range(n):
            row.clear()
            start = n_out
            length = 0
            for i in range(offsets[b], offsets[b + 1]):
                value = counts[i]
                if tf == 1:
                    value = log1p(value)
                elif tf == 2:
                    value = sqrt(value)
                value *= idf[word_ids[i]]
                if value == 0:
                    continue
                o_words[n_out] = word_ids[i]
                n_out += 1
                row.push_back(value)
                length += value * value if norm == 1 else value
            if norm == 1:
                length = sqrt(length)
            elif norm == 2:
                length = 1
            for i in range(start, n_out):
                o_weights[i] = <float>(row[i - start] / length)
            o_offsets[b + 1] = n_out
    return out_words[:n_out].copy(), out_weights[:n_out].copy(), out_offsets
