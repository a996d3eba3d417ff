#include "flat/score.h"
#include "simd/target.h"

#if defined(__x86_64__)
#include <immintrin.h>

CBIR_TARGET_BEGIN("avx2,fma")

namespace cbir {
namespace {

template <bool kDifferences>
inline __m256 term_of(__m256 x, __m256 y) {
  if constexpr (!kDifferences) return _mm256_mul_ps(x, y);
  const __m256 difference = _mm256_sub_ps(x, y);
  return _mm256_mul_ps(difference, difference);
}

template <bool kDifferences>
void scores(const float* x, int64_t n, int64_t d, const float* y, int64_t y_stride, float* out) {
  for (int64_t i = 0; i < n; ++i, x += d, y += y_stride) {
    __m256 low = _mm256_setzero_ps(), high = _mm256_setzero_ps();
    int64_t t = 0;
    for (; t + 16 <= d; t += 16) {
      low = _mm256_add_ps(low, term_of<kDifferences>(_mm256_loadu_ps(x + t), _mm256_loadu_ps(y + t)));
      high = _mm256_add_ps(high, term_of<kDifferences>(_mm256_loadu_ps(x + t + 8), _mm256_loadu_ps(y + t + 8)));
    }
    if (t < d) {
      alignas(32) float sums[16];
      _mm256_store_ps(sums, low);
      _mm256_store_ps(sums + 8, high);
      for (int j = 0; t + j < d; ++j) {
        const float a = x[t + j], b = y[t + j];
        sums[j] += kDifferences ? (a - b) * (a - b) : a * b;
      }
      low = _mm256_load_ps(sums);
      high = _mm256_load_ps(sums + 8);
    }
    const __m256 s8 = _mm256_add_ps(low, high);
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    out[i] = _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
  }
}

}  // namespace

const ScoreKernels kScoreAvx2{scores<true>, scores<false>};

}  // namespace cbir
CBIR_TARGET_END
#endif
