#include "flat/score.h"
#include "simd/target.h"

#if defined(__x86_64__)

// GCC 12 warns of its own header (PR105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

CBIR_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")

namespace cbir {
namespace {

// The sixteen sums are the lanes of one register; its tree is halves, quarters, pairs.
inline float tree_of(__m512 s) {
  const __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

template <bool kDifferences>
inline __m512 term_of(__m512 x, __m512 y) {
  if constexpr (!kDifferences) return _mm512_mul_ps(x, y);
  const __m512 difference = _mm512_sub_ps(x, y);
  return _mm512_mul_ps(difference, difference);
}

template <bool kDifferences>
void scores(const float* x, int64_t n, int64_t d, const float* y, int64_t y_stride, float* out) {
  const int64_t whole = d / 16 * 16;
  const __mmask16 rest = static_cast<__mmask16>((1u << (d - whole)) - 1);
  for (int64_t i = 0; i < n; ++i, x += d, y += y_stride) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t t = 0; t < whole; t += 16) {
      sum = _mm512_add_ps(sum, term_of<kDifferences>(_mm512_loadu_ps(x + t), _mm512_loadu_ps(y + t)));
    }
    if (rest) {
      const __m512 a = _mm512_maskz_loadu_ps(rest, x + whole), b = _mm512_maskz_loadu_ps(rest, y + whole);
      sum = _mm512_mask_add_ps(sum, rest, sum, term_of<kDifferences>(a, b));
    }
    out[i] = tree_of(sum);
  }
}

}  // namespace

const ScoreKernels kScoreAvx512{scores<true>, scores<false>};

}  // namespace cbir
CBIR_TARGET_END
#endif
