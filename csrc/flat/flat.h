// Exhaustive search: the k best rows of xb for every query, without an (nq, nb) matrix.
//
// Two steps. A register-blocked kernel (tile.h) gives for 12 rows and 32 queries at a time a lower bound of the key and
// compares it with the key of the k-th hit so far; the comparison is the kernel's only output. Rows that pass are
// scored again, by direct differences (score.h), and only that score is kept, ranked and returned. The bound counts
// every rounding, so the answer is the one of the direct scores: the same at every SIMD level, for any number of
// threads and however the queries are cut into batches.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/allowed.h"
#include "core/matrix.h"
#include "flat/score.h"

namespace cbir::flat {

// What is searched: rows, an id for each, and which of them may answer. Squared norms must stay finite in float;
// whatever else the bytes of x and ids say is safe, as they may lie in a mapped file.
struct Rows {
  Matrix<const float> x;
  Span<const int64_t> ids;
  Allowed allowed;
};

// Writes keys and ids, (nq, k) each, best first: squared distance for l2, the negated similarity otherwise; ties to
// the smaller id; padded with infinity and -1.
void search(const Rows& rows, Matrix<const float> xq, Metric metric, int64_t k, int n_threads, float* keys,
            int64_t* hits);

// For each query the keys up to `radius` and their ids, best first.
std::vector<std::vector<std::pair<float, int64_t>>> range(const Rows& rows, Matrix<const float> xq, Metric metric,
                                                          float radius, int n_threads);

// Writes the keys of given rows, (nq, m): row positions[q][j] for query q, or positions[0][j] for all; infinity for -1.
// The bits are those of the searches.
void score_pairs(Matrix<const float> xb, Matrix<const float> xq, Metric metric, Matrix<const int64_t> positions,
                 int n_threads, float* keys);

}  // namespace cbir::flat
