// What the ways of exhaustive search share: the two sides of the lower bound, and the offer of a row that passed it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/matrix.h"
#include "flat/collect.h"
#include "flat/flat.h"
#include "flat/score.h"

namespace cbir::flat {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Twice the bound of a sum of d rounded terms and a few operations around it (Higham, Accuracy and Stability, 3.1).
inline double rounding(int64_t d) { return static_cast<double>(d + 8) * 0x1p-23; }

// Position of the lowest 1 of a mask that has one.
inline int lowest_bit(uint64_t mask) {
#if defined(__GNUC__) || defined(__clang__)
  return __builtin_ctzll(mask);
#else
  int at = 0;
  while (!(mask >> at & 1)) ++at;
  return at;
#endif
}

// A float at or above v.
inline float round_up(double v) { return std::nextafter(static_cast<float>(v), kInfinity); }

// What the kernel evaluates, key >= offset + scale * (w . x), and how the k-th key becomes its limit:
//   l2:          |x|^2 (1 - 8e)     + (-2q) . x        <=  worst - |q|^2 (1 - 8e)       since 2|q||x| <= |q|^2 + |x|^2
//   ip:          -8e|x|             + (-q/|q|) . x     <=  worst / |q|
//   cosine:      -8e                + (-q/|q|) . x/|x| <=  worst
// with e = rounding(d): the slack covers the kernel's error and that of the direct score. Squared lengths that float
// can't hold well (kTinySquare) bound nothing: such rows and queries pass under cosine.
struct QuerySide {
  Metric metric;
  double e, length2, length;

  QuerySide(Metric m, float squared_length, int64_t d) : metric(m), e(rounding(d)) {
    length2 = squared_length;
    length = std::sqrt(length2);
  }
  double factor() const { return metric == Metric::l2 ? -2.0 : length > 0 ? -1.0 / length : 0.0; }
  float limit(float worst) const {
    if (worst == kInfinity || (metric == Metric::cosine && length2 < kTinySquare)) return kInfinity;
    double v = worst;
    if (metric == Metric::l2) v -= length2 * (1 - 8 * e);
    if (metric == Metric::ip && length > 0) v /= length;
    return round_up(v + 1e-30);
  }
};

// Of a row with squared length `squared_length`. An offset is never -infinity: that is the limit of a place without a
// query, which no row may pass, not even one of an altered file.
inline void row_side(Metric metric, float squared_length, int64_t d, float* offset, float* scale) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const double e = rounding(d), length2 = squared_length;
  *scale = 1;
  if (metric == Metric::l2) {
    *offset = static_cast<float>(length2 * (1 - 8 * e));
  } else if (metric == Metric::ip) {
    *offset = static_cast<float>(std::max(-8 * e * std::sqrt(std::max<double>(length2, kTinySquare)), -kLargest));
  } else if (squared_length < kTinySquare) {
    *offset = static_cast<float>(-kLargest);
    *scale = 0;
  } else {
    *offset = static_cast<float>(-8 * e);
    *scale = static_cast<float>(1 / std::sqrt(length2));
  }
}

struct Search {
  Matrix<const float> xb;
  Span<const int64_t> ids;
  Allowed allowed;
  Matrix<const float> xq;
  Metric metric;
  int n_threads;
  Collected& collected;
  const DistanceKernels& score;
  std::vector<float> lengths2;  // (xq.rows,): |q|^2

  Search(const Rows& rows, Matrix<const float> xq_, Metric metric_, int threads, Collected& collected_)
      : xb(rows.x),
        ids(rows.ids),
        allowed(rows.allowed),
        xq(xq_),
        metric(metric_),
        n_threads(threads),
        collected(collected_),
        score(*simd::pick(kDistances)),
        lengths2(static_cast<size_t>(xq_.rows)) {
    score.inner_products(xq.data, xq.rows, xq.cols, xq.data, xq.cols, lengths2.data());
  }

  std::vector<QuerySide> sides() const {
    std::vector<QuerySide> all;
    all.reserve(lengths2.size());
    for (float length2 : lengths2) all.emplace_back(metric, length2, xq.cols);
    return all;
  }

  float offer(int64_t q, int64_t row, float worst) const {
    if (allowed.mask != nullptr && !allowed.mask[row]) return worst;
    float key, scratch;
    keys_of(score, metric, xb.row(row), 1, xb.cols, xq.row(q), lengths2[q], &scratch, &key);
    return key <= worst ? collected.push(q, key, ids[row]) : worst;
  }
};

// Filters with 8-bit codes made on the way (bytes.h). False, and nothing done, where that does not pay or the level in
// use has no kernel for it.
bool search_in_bytes(const Search& search);

}  // namespace cbir::flat
