// The scores that are returned. Sixteen running sums, one per dimension modulo 16, added in a fixed tree; a product is
// rounded before it is added (no fused multiply-add), so every SIMD level gives the same bits. Error: at most
// (d / 16 + 5) roundings of sum|terms|.
#pragma once

#include <cmath>
#include <cstdint>

namespace cbir {

enum class FlatMetric { l2, ip, cosine };

inline float sum16(float* s) {
  for (int width = 8; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) s[j] += s[j + width];
  }
  return s[0];
}

// sum_t (x_t - y_t)^2
inline float squared_distance(const float* x, const float* y, int64_t d) {
  float s[16] = {};
  int64_t t = 0;
  for (; t + 16 <= d; t += 16) {
    for (int j = 0; j < 16; ++j) {
      const float difference = x[t + j] - y[t + j];
      s[j] += difference * difference;
    }
  }
  for (int j = 0; t + j < d; ++j) {
    const float difference = x[t + j] - y[t + j];
    s[j] += difference * difference;
  }
  return sum16(s);
}

// sum_t x_t y_t
inline float inner_product(const float* x, const float* y, int64_t d) {
  float s[16] = {};
  int64_t t = 0;
  for (; t + 16 <= d; t += 16) {
    for (int j = 0; j < 16; ++j) s[j] += x[t + j] * y[t + j];
  }
  for (int j = 0; t + j < d; ++j) s[j] += x[t + j] * y[t + j];
  return sum16(s);
}

// Smaller is better. A vector without length has cosine 0 with everything.
inline float flat_key(FlatMetric metric, const float* x, const float* q, int64_t d) {
  if (metric == FlatMetric::l2) return squared_distance(x, q, d);
  const float dot = inner_product(x, q, d);
  if (metric == FlatMetric::ip) return -dot;
  const double lengths = static_cast<double>(inner_product(x, x, d)) * static_cast<double>(inner_product(q, q, d));
  return lengths > 0 ? static_cast<float>(-(dot / std::sqrt(lengths))) : 0.0f;
}

}  // namespace cbir
