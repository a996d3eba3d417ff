// The scores that are returned: core/distance.h, which gives the same bits at every SIMD level.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/distance.h"

namespace cbir::flat {

enum class Metric { l2, ip, cosine };

// Squared lengths below this lose digits, or everything, to underflow in float.
inline constexpr float kTinySquare = 1e-30f;

inline double cosine_of_tiny(const float* x, const float* q, int64_t d) {
  double dot = 0, x2 = 0, q2 = 0;
  for (int64_t t = 0; t < d; ++t) {
    dot += static_cast<double>(x[t]) * q[t];
    x2 += static_cast<double>(x[t]) * x[t];
    q2 += static_cast<double>(q[t]) * q[t];
  }
  return x2 > 0 && q2 > 0 ? dot / std::sqrt(x2 * q2) : 0.0;
}

// Keys of the rows of x (n, d) for one query, smaller is better; `length2` is |q|^2, `scratch` (n,). A vector without
// length has cosine 0 with everything.
inline void keys_of(const DistanceKernels& score, Metric metric, const float* x, int64_t n, int64_t d, const float* q,
                    float length2, float* scratch, float* keys) {
  if (metric == Metric::l2) return score.squared_distances(x, n, d, q, 0, keys);
  score.inner_products(x, n, d, q, 0, keys);
  if (metric == Metric::cosine) score.inner_products(x, n, d, x, d, scratch);
  for (int64_t i = 0; i < n; ++i) {
    if (metric == Metric::ip) {
      keys[i] = -keys[i];
    } else if (scratch[i] < kTinySquare || length2 < kTinySquare) {
      keys[i] = static_cast<float>(0 - cosine_of_tiny(x + i * d, q, d));
    } else {
      keys[i] = static_cast<float>(-(keys[i] / std::sqrt(static_cast<double>(scratch[i]) * length2)));
    }
  }
}

}  // namespace cbir::flat
