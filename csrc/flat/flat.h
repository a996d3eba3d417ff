// Exhaustive search: the k best rows of xb for every query, without an (nq, nb) matrix.
//
// Two steps. A register-blocked kernel (tile.h) gives for 12 rows and 32 queries at a time a lower bound of the key and
// compares it with the key of the k-th hit so far; the comparison is the kernel's only output. Rows that pass are
// scored again, by direct differences (score.h), and only that score is kept, ranked and returned. The bound counts
// every rounding, so the answer is the one of the direct scores: the same at every SIMD level, for any number of
// threads and however the queries are cut into batches.
#pragma once

#include <cstdint>

#include "core/matrix.h"
#include "flat/score.h"

namespace cbir {

// Writes keys and ids, (nq, k) each, best first: squared distance for l2, the negated similarity otherwise; ties to
// the smaller id; padded with infinity and -1. ids.size == xb.rows. Squared norms must stay finite in float.
void flat_search(Matrix<const float> xb, Span<const int64_t> ids, Matrix<const float> xq, FlatMetric metric, int64_t k,
                 int n_threads, float* keys, int64_t* hits);

}  // namespace cbir
