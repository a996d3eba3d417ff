// What the ways of exhaustive search share: the two sides of the lower bound, and the offer of a row that passed it.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "core/matrix.h"
#include "flat/collect.h"
#include "flat/score.h"

namespace cbir {

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
// with e = rounding(d): the slack covers the kernel's error and that of the direct score.
struct QuerySide {
  FlatMetric metric;
  double e, length2, length;

  QuerySide(FlatMetric m, const float* q, int64_t d) : metric(m), e(rounding(d)) {
    length2 = inner_product(q, q, d);
    length = std::sqrt(length2);
  }
  double factor() const { return metric == FlatMetric::l2 ? -2.0 : length > 0 ? -1.0 / length : 0.0; }
  float limit(float worst) const {
    if (worst == kInfinity) return kInfinity;
    double v = worst;
    if (metric == FlatMetric::l2) v -= length2 * (1 - 8 * e);
    if (metric == FlatMetric::ip && length > 0) v /= length;
    return round_up(v + 1e-30);
  }
};

inline void row_side(FlatMetric metric, const float* x, int64_t d, float* offset, float* scale) {
  const double e = rounding(d), length2 = inner_product(x, x, d), length = std::sqrt(length2);
  *scale = 1;
  if (metric == FlatMetric::l2) {
    *offset = static_cast<float>(length2 * (1 - 8 * e));
  } else if (metric == FlatMetric::ip) {
    *offset = static_cast<float>(-8 * e * length);
  } else {
    *offset = static_cast<float>(-8 * e);
    *scale = length > 0 ? static_cast<float>(1 / length) : 0.0f;
  }
}

struct Search {
  Matrix<const float> xb;
  Span<const int64_t> ids;
  Matrix<const float> xq;
  FlatMetric metric;
  int n_threads;
  FlatHeaps& heaps;

  float offer(int64_t q, int64_t row, float worst) const {
    const float key = flat_key(metric, xb.row(row), xq.row(q), xb.cols);
    return key <= worst ? heaps.push(q, key, ids[row]) : worst;
  }
};

// Filters with 8-bit codes made on the way (bytes.h); needs a kernel for the level in use.
void search_in_bytes(const Search& search);
bool bytes_pay(int64_t nq, int64_t d);

}  // namespace cbir
