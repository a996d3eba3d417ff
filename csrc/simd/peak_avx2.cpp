#include "simd/peak.h"
#include "simd/target.h"

#if defined(__x86_64__)

#include <immintrin.h>

CBIR_TARGET_BEGIN("avx2,fma")

namespace cbir::simd {

double peak_avx2(int64_t n) {
  constexpr int kRegisters = 12;  // more than latency times ports, so that no multiply-add waits for another
  volatile float start = 1.0f;
  const __m256 factor = _mm256_set1_ps(start * 0.999f), term = _mm256_set1_ps(start * 0.001f);
  __m256 acc[kRegisters];
#pragma GCC unroll 12
  for (int r = 0; r < kRegisters; ++r)
    acc[r] = _mm256_set1_ps(start + 0.01f * r);  // all different, or the compiler keeps one
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int r = 0; r < kRegisters; ++r) acc[r] = _mm256_fmadd_ps(acc[r], factor, term);
  }
  __m256 sum = acc[0];
#pragma GCC unroll 12
  for (int r = 1; r < kRegisters; ++r) sum = _mm256_add_ps(sum, acc[r]);
  float lanes[8];
  _mm256_storeu_ps(lanes, sum);
  start = lanes[0];
  return 2.0 * 8 * kRegisters * static_cast<double>(n);
}

}  // namespace cbir::simd

CBIR_TARGET_END
#endif
