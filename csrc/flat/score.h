// The scores that are returned: core/distance.h, which gives the same bits at every SIMD level.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/distance.h"

namespace cbir::flat {

enum class Metric { l2, ip, cosine };

// Squared lengths below this lose digits, or everything, to underflow in float.
inline constexpr float kTinySquare = 1e-30f;

// The cosine where they do. In a file of its own: inline it would crowd the loops where it never happens.
double cosine_of_tiny(const float* x, const float* q, int64_t d);

// Keys of the rows of x (n, d) for one query, smaller is better; `length2` is |q|^2, `scratch` (n,). A vector without
// length has cosine 0 with everything.
inline void keys_of(const DistanceKernels& score, Metric metric, const float* x, int64_t n, int64_t d, const float* q,
                    float length2, float* scratch, float* keys) {
  if (metric == Metric::l2) return score.squared_distances(x, n, d, q, 0, keys);
  score.inner_products(x, n, d, q, 0, keys);
  if (metric == Metric::ip) {
    for (int64_t i = 0; i < n; ++i) keys[i] = -keys[i];
    return;
  }
  score.inner_products(x, n, d, x, d, scratch);
  for (int64_t i = 0; i < n; ++i) {
    if (scratch[i] < kTinySquare || length2 < kTinySquare) {
      keys[i] = static_cast<float>(0 - cosine_of_tiny(x + i * d, q, d));
    } else {
      keys[i] = static_cast<float>(-(keys[i] / std::sqrt(static_cast<double>(scratch[i]) * length2)));
    }
  }
}

}  // namespace cbir::flat
