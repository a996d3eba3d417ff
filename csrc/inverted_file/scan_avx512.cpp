#include "inverted_file/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")

namespace cbir {

int64_t scan_avx512(const float* key, int64_t n, float limit, uint16_t* out) {
  const __m512 bound = _mm512_set1_ps(limit);
  int64_t found = 0;
  for (int64_t i = 0; i < n; i += 16) {
    for (unsigned m = _mm512_cmp_ps_mask(_mm512_loadu_ps(key + i), bound, _CMP_LE_OQ); m != 0; m &= m - 1) {
      out[found++] = static_cast<uint16_t>(i + __builtin_ctz(m));
    }
  }
  return found;
}

void dense_avx512(DenseSum sum, const float* x, int64_t n, float q, float* key) {
  const __m512 qs = _mm512_set1_ps(q), sign = _mm512_set1_ps(-0.0f), size = _mm512_andnot_ps(sign, qs);
  for (int64_t i = 0; i < n; i += 16) {
    const __m512 v = _mm512_loadu_ps(x + i), k = _mm512_loadu_ps(key + i);
    if (sum == DenseSum::ip) {
      _mm512_storeu_ps(key + i, _mm512_sub_ps(k, _mm512_mul_ps(qs, v)));
    } else if (sum == DenseSum::intersection) {
      _mm512_storeu_ps(key + i, _mm512_sub_ps(k, _mm512_min_ps(qs, v)));
    } else {
      const __m512 apart = _mm512_andnot_ps(sign, _mm512_sub_ps(qs, v));
      const __m512 term = _mm512_sub_ps(_mm512_sub_ps(apart, size), _mm512_andnot_ps(sign, v));
      _mm512_storeu_ps(key + i, _mm512_add_ps(k, term));
    }
  }
}

}  // namespace cbir
#pragma GCC pop_options
#endif
