#include "simd/peak.h"
#include "simd/target.h"

#if defined(__x86_64__)

// GCC 12 warns of its own header (PR105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

CBIR_TARGET_BEGIN("avx512f")

namespace cbir::simd {

double peak_avx512(int64_t n) {
  constexpr int kRegisters = 24;  // more than latency times ports, so that no multiply-add waits for another
  volatile float start = 1.0f;
  const __m512 factor = _mm512_set1_ps(start * 0.999f), term = _mm512_set1_ps(start * 0.001f);
  __m512 acc[kRegisters];
#pragma GCC unroll 24
  for (int r = 0; r < kRegisters; ++r)
    acc[r] = _mm512_set1_ps(start + 0.01f * r);  // all different, or the compiler keeps one
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 24
    for (int r = 0; r < kRegisters; ++r) acc[r] = _mm512_fmadd_ps(acc[r], factor, term);
  }
  __m512 sum = acc[0];
#pragma GCC unroll 24
  for (int r = 1; r < kRegisters; ++r) sum = _mm512_add_ps(sum, acc[r]);
  float lanes[16];
  _mm512_storeu_ps(lanes, sum);
  start = lanes[0];
  return 2.0 * 16 * kRegisters * static_cast<double>(n);
}

}  // namespace cbir::simd

CBIR_TARGET_END
#endif
