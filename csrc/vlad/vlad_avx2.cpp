#include "vlad/vlad.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX2_BEGIN

namespace cbir::vlad {
namespace {

// Columns [t, t + 8 U) of the sum stay in U registers while all rows pass by. The rows of a word lie scattered among
// the image's descriptors, where no hardware prefetcher finds them, hence kAhead.
template <int U>
inline void sum_columns(const float* x, const int32_t* rows, int64_t n, const float* c, int64_t d, float* sum) {
  __m256 centre[U], total[U];
  for (int u = 0; u < U; ++u) {
    centre[u] = _mm256_loadu_ps(c + 8 * u);
    total[u] = _mm256_setzero_ps();
  }
  for (int64_t i = 0; i < n; ++i) {
    const float* row = x + rows[i] * d;
    const float* later = x + rows[i + kAhead] * d;
    for (int u = 0; u < U; ++u) {
      if (u % 2 == 0) _mm_prefetch(reinterpret_cast<const char*>(later + 8 * u), _MM_HINT_T0);
      total[u] = _mm256_add_ps(total[u], _mm256_sub_ps(_mm256_loadu_ps(row + 8 * u), centre[u]));
    }
  }
  for (int u = 0; u < U; ++u) _mm256_storeu_ps(sum + 8 * u, total[u]);
}

void sum_residuals(const float* x, const int32_t* rows, int64_t n, const float* c, int64_t d, float* sum) {
  int64_t t = 0;
  for (; t + 64 <= d; t += 64) sum_columns<8>(x + t, rows, n, c + t, d, sum + t);
  for (; t + 8 <= d; t += 8) sum_columns<1>(x + t, rows, n, c + t, d, sum + t);
  for (; t < d; ++t) {
    float total = 0.0f;
    for (int64_t i = 0; i < n; ++i) total += x[rows[i] * d + t] - c[t];
    sum[t] = total;
  }
}

void signed_sqrt(float* v, int64_t d) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  int64_t t = 0;
  for (; t + 8 <= d; t += 8) {
    const __m256 a = _mm256_loadu_ps(v + t);
    const __m256 root = _mm256_sqrt_ps(_mm256_andnot_ps(sign, a));
    _mm256_storeu_ps(v + t, _mm256_or_ps(root, _mm256_and_ps(sign, a)));
  }
  for (; t < d; ++t) v[t] = __builtin_copysignf(__builtin_sqrtf(__builtin_fabsf(v[t])), v[t]);
}

void add_squares(const float* v, int64_t d, double* lanes) {
  __m256d sum[4];
  for (int u = 0; u < 4; ++u) sum[u] = _mm256_loadu_pd(lanes + 4 * u);
  int64_t t = 0;
  for (; t + kLanes <= d; t += kLanes) {
    for (int u = 0; u < 4; ++u) {
      const __m256d a = _mm256_cvtps_pd(_mm_loadu_ps(v + t + 4 * u));
      sum[u] = _mm256_add_pd(sum[u], _mm256_mul_pd(a, a));
    }
  }
  for (int u = 0; u < 4; ++u) _mm256_storeu_pd(lanes + 4 * u, sum[u]);
  for (; t < d; ++t) lanes[t % kLanes] += static_cast<double>(v[t]) * v[t];
}

void scale(float* v, int64_t d, float factor) {
  const __m256 f = _mm256_set1_ps(factor);
  int64_t t = 0;
  for (; t + 8 <= d; t += 8) _mm256_storeu_ps(v + t, _mm256_mul_ps(_mm256_loadu_ps(v + t), f));
  for (; t < d; ++t) v[t] *= factor;
}

}  // namespace

const Kernels kAvx2{sum_residuals, signed_sqrt, add_squares, scale};

}  // namespace cbir::vlad

CBIR_TARGET_END
#endif
