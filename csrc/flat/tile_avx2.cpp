#include "flat/tile.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX2_BEGIN

namespace cbir::flat {
namespace {

constexpr int kRows = 6;  // 6 x 2 sums, 2 panel vectors and a broadcast fill the 16 registers

inline void half(const float* x, int64_t d, const float* offset, const float* scale, const float* panel,
                 const float* limit, int shift, uint32_t* mask) {
  __m256 sum[kRows][2];
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm256_setzero_ps();
  for (int64_t t = 0; t < d; ++t) {
    const __m256 p0 = _mm256_loadu_ps(panel + t * kTileQueries);
    const __m256 p1 = _mm256_loadu_ps(panel + t * kTileQueries + 8);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m256 value = _mm256_broadcast_ss(x + r * d + t);
      sum[r][0] = _mm256_fmadd_ps(value, p0, sum[r][0]);
      sum[r][1] = _mm256_fmadd_ps(value, p1, sum[r][1]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const __m256 a = _mm256_set1_ps(offset[r]), g = _mm256_set1_ps(scale[r]);
    const __m256 k0 = _mm256_fmadd_ps(g, sum[r][0], a), k1 = _mm256_fmadd_ps(g, sum[r][1], a);
    const int m0 = _mm256_movemask_ps(_mm256_cmp_ps(k0, _mm256_loadu_ps(limit), _CMP_LE_OQ));
    const int m1 = _mm256_movemask_ps(_mm256_cmp_ps(k1, _mm256_loadu_ps(limit + 8), _CMP_LE_OQ));
    mask[r] |= static_cast<uint32_t>(m0 | m1 << 8) << shift;
  }
}

}  // namespace

void tile_avx2(const float* x, int64_t d, const float* offset, const float* scale, const float* panel,
               const float* limit, uint32_t* mask) {
  for (int r = 0; r < kTileRows; ++r) mask[r] = 0;
  for (int j = 0; j < kTileQueries; j += 16) {
    for (int r = 0; r < kTileRows; r += kRows) {
      half(x + r * d, d, offset + r, scale + r, panel + j, limit + j, j, mask + r);
    }
  }
}

}  // namespace cbir::flat
CBIR_TARGET_END
#endif
