#include "vlad/vlad.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512_BEGIN

namespace cbir::vlad {
namespace {

// Columns [t, t + 16 U) of the sum stay in U registers while all rows pass by. The rows of a word lie scattered among
// the image's descriptors, where no hardware prefetcher finds them, hence kAhead.
template <int U>
inline void sum_columns(const float* x, const int32_t* rows, int64_t n, const float* c, int64_t d, float* sum) {
  __m512 centre[U], total[U];
  for (int u = 0; u < U; ++u) {
    centre[u] = _mm512_loadu_ps(c + 16 * u);
    total[u] = _mm512_setzero_ps();
  }
  for (int64_t i = 0; i < n; ++i) {
    const float* row = x + rows[i] * d;
    const float* later = x + rows[i + kAhead] * d;
    for (int u = 0; u < U; ++u) {
      _mm_prefetch(reinterpret_cast<const char*>(later + 16 * u), _MM_HINT_T0);
      total[u] = _mm512_add_ps(total[u], _mm512_sub_ps(_mm512_loadu_ps(row + 16 * u), centre[u]));
    }
  }
  for (int u = 0; u < U; ++u) _mm512_storeu_ps(sum + 16 * u, total[u]);
}

void sum_residuals(const float* x, const int32_t* rows, int64_t n, const float* c, int64_t d, float* sum) {
  int64_t t = 0;
  for (; t + 128 <= d; t += 128) sum_columns<8>(x + t, rows, n, c + t, d, sum + t);
  for (; t + 16 <= d; t += 16) sum_columns<1>(x + t, rows, n, c + t, d, sum + t);
  if (t == d) return;
  const __mmask16 rest = simd::first_lanes(d - t);
  const __m512 centre = _mm512_maskz_loadu_ps(rest, c + t);
  __m512 total = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; ++i) {
    const __m512 row = _mm512_maskz_loadu_ps(rest, x + rows[i] * d + t);
    total = _mm512_add_ps(total, _mm512_sub_ps(row, centre));
  }
  _mm512_mask_storeu_ps(sum + t, rest, total);
}

void signed_sqrt(float* v, int64_t d) {
  const __m512 sign = _mm512_set1_ps(-0.0f);
  for (int64_t t = 0; t < d; t += 16) {
    const __mmask16 there = simd::first_lanes(d - t);
    const __m512 a = _mm512_maskz_loadu_ps(there, v + t);
    const __m512 root = _mm512_sqrt_ps(_mm512_andnot_ps(sign, a));
    _mm512_mask_storeu_ps(v + t, there, _mm512_or_ps(root, _mm512_and_ps(sign, a)));
  }
}

void add_squares(const float* v, int64_t d, double* lanes) {
  __m512d low = _mm512_loadu_pd(lanes), high = _mm512_loadu_pd(lanes + 8);
  for (int64_t t = 0; t < d; t += kLanes) {
    const __mmask16 there = simd::first_lanes(d - t);
    const __m512 a = _mm512_maskz_loadu_ps(there, v + t);
    const __m512d a0 = _mm512_cvtps_pd(_mm512_castps512_ps256(a));
    const __m512d a1 = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
    low = _mm512_fmadd_pd(a0, a0, low);  // the square is exact in float64: fused or not, the same bytes
    high = _mm512_fmadd_pd(a1, a1, high);
  }
  _mm512_storeu_pd(lanes, low);
  _mm512_storeu_pd(lanes + 8, high);
}

void scale(float* v, int64_t d, float factor) {
  const __m512 f = _mm512_set1_ps(factor);
  for (int64_t t = 0; t < d; t += 16) {
    const __mmask16 there = simd::first_lanes(d - t);
    _mm512_mask_storeu_ps(v + t, there, _mm512_mul_ps(_mm512_maskz_loadu_ps(there, v + t), f));
  }
}

}  // namespace

const Kernels kAvx512{sum_residuals, signed_sqrt, add_squares, scale};

}  // namespace cbir::vlad

CBIR_TARGET_END
#endif
