#include "core/distance.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX2_BEGIN

namespace cbir {
namespace {

template <bool kDifferences>
inline __m256 term_of(__m256 x, __m256 y) {
  if constexpr (!kDifferences) return _mm256_mul_ps(x, y);
  const __m256 difference = _mm256_sub_ps(x, y);
  return _mm256_mul_ps(difference, difference);
}

template <bool kDifferences>
inline float sum_of(const float* x, const float* y, int64_t d) {
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
  return simd::tree_sum(low, high);
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

const DistanceKernels kDistanceAvx2{in_order<true>, in_order<false>, gathered<true>, gathered<false>};

}  // namespace cbir

CBIR_TARGET_END
#endif
