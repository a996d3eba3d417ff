#include "simd/peak.h"

namespace cbir::simd {

double peak_generic(int64_t n) {
  // 8 x 4 independent lanes; the compiler makes baseline vectors of them. Volatile ends keep the work from being
  // dropped.
  constexpr int kLanes = 32;
  volatile float start = 1.0f;
  const float factor = start * 0.999f, term = start * 0.001f;
  float acc[kLanes];
  for (int l = 0; l < kLanes; ++l) acc[l] = start + 0.01f * l;  // all different, or the compiler keeps one
  for (int64_t i = 0; i < n; ++i) {
    for (int l = 0; l < kLanes; ++l) acc[l] = acc[l] * factor + term;
  }
  float sum = 0;
  for (float a : acc) sum += a;
  start = sum;
  return 2.0 * kLanes * static_cast<double>(n);
}

double no_ops(int64_t n) {
  constexpr int kPerRound = 32;
  for (int64_t i = 0; i < n; ++i) asm volatile(".rept 32\n nop\n .endr");
  return static_cast<double>(kPerRound) * static_cast<double>(n);
}

}  // namespace cbir::simd
