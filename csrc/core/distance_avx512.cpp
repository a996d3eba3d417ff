#include "core/distance.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512_BEGIN

namespace cbir {
namespace {

template <bool kDifferences>
inline __m512 term_of(__m512 x, __m512 y) {
  if constexpr (!kDifferences) return _mm512_mul_ps(x, y);
  const __m512 difference = _mm512_sub_ps(x, y);
  return _mm512_mul_ps(difference, difference);
}

// The sixteen sums are the lanes of one register.
template <bool kDifferences>
inline float sum_of(const float* x, const float* y, int64_t d) {
  __m512 sum = _mm512_setzero_ps();
  int64_t t = 0;
  for (; t + 16 <= d; t += 16) {
    sum = _mm512_add_ps(sum, term_of<kDifferences>(_mm512_loadu_ps(x + t), _mm512_loadu_ps(y + t)));
  }
  if (t < d) {
    const __mmask16 rest = simd::first_lanes(d - t);
    const __m512 a = _mm512_maskz_loadu_ps(rest, x + t), b = _mm512_maskz_loadu_ps(rest, y + t);
    sum = _mm512_mask_add_ps(sum, rest, sum, term_of<kDifferences>(a, b));
  }
  return simd::tree_sum(sum);
}

template <bool kDifferences>
void in_order(const float* x, int64_t n, int64_t d, const float* y, int64_t y_stride, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = sum_of<kDifferences>(x + i * d, y + i * y_stride, d);
}

template <bool kDifferences>
void gathered(const float* y, Matrix<const float> rows, const int64_t* ids, int64_t n, float* out) {
  constexpr int64_t kAhead = 3;
  for (int64_t i = 0; i < n; ++i) {
    if (i + kAhead < n) {
      const float* later = rows.row(ids[i + kAhead]);
      for (int64_t t = 0; t < rows.cols; t += 16) {
        _mm_prefetch(reinterpret_cast<const char*>(later + t), _MM_HINT_T0);
      }
    }
    out[i] = sum_of<kDifferences>(rows.row(ids[i]), y, rows.cols);
  }
}

}  // namespace

const DistanceKernels kDistanceAvx512{in_order<true>, in_order<false>, gathered<true>, gathered<false>};

}  // namespace cbir

CBIR_TARGET_END
#endif
