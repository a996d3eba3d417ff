#include "flat/tile.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512_BEGIN

namespace cbir::flat {

// 24 sums, 2 panel vectors and a broadcast: 27 of 32 registers, and two fused multiply-adds for each load but one.
void tile_avx512(const float* x, int64_t d, const float* offset, const float* scale, const float* panel,
                 const float* limit, uint32_t* mask) {
  __m512 sum[kTileRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kTileRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
  for (int64_t t = 0; t < d; ++t) {
    const __m512 p0 = _mm512_loadu_ps(panel + t * kTileQueries);
    const __m512 p1 = _mm512_loadu_ps(panel + t * kTileQueries + 16);
#pragma GCC unroll 12
    for (int r = 0; r < kTileRows; ++r) {
      const __m512 value = _mm512_set1_ps(x[r * d + t]);
      sum[r][0] = _mm512_fmadd_ps(value, p0, sum[r][0]);
      sum[r][1] = _mm512_fmadd_ps(value, p1, sum[r][1]);
    }
  }
  const __m512 limit0 = _mm512_loadu_ps(limit), limit1 = _mm512_loadu_ps(limit + 16);
#pragma GCC unroll 12
  for (int r = 0; r < kTileRows; ++r) {
    const __m512 a = _mm512_set1_ps(offset[r]), g = _mm512_set1_ps(scale[r]);
    const uint32_t m0 = _mm512_cmp_ps_mask(_mm512_fmadd_ps(g, sum[r][0], a), limit0, _CMP_LE_OQ);
    const uint32_t m1 = _mm512_cmp_ps_mask(_mm512_fmadd_ps(g, sum[r][1], a), limit1, _CMP_LE_OQ);
    mask[r] = m0 | m1 << 16;
  }
}

}  // namespace cbir::flat
CBIR_TARGET_END
#endif
