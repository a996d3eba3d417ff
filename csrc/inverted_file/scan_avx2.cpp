#include "inverted_file/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma")

namespace cbir {

int64_t scan_avx2(const float* key, int64_t n, float limit, uint16_t* out) {
  const __m256 bound = _mm256_set1_ps(limit);
  int64_t found = 0;
  for (int64_t i = 0; i < n; i += 16) {
    const int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(key + i), bound, _CMP_LE_OQ));
    const int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(key + i + 8), bound, _CMP_LE_OQ));
    for (unsigned m = static_cast<unsigned>(low | high << 8); m != 0; m &= m - 1) {
      out[found++] = static_cast<uint16_t>(i + __builtin_ctz(m));
    }
  }
  return found;
}

void dense_avx2(DenseSum sum, const float* x, int64_t n, float q, float* key) {
  const __m256 qs = _mm256_set1_ps(q), sign = _mm256_set1_ps(-0.0f), size = _mm256_andnot_ps(sign, qs);
  for (int64_t i = 0; i < n; i += 8) {
    const __m256 v = _mm256_loadu_ps(x + i), k = _mm256_loadu_ps(key + i);
    if (sum == DenseSum::ip) {
      _mm256_storeu_ps(key + i, _mm256_sub_ps(k, _mm256_mul_ps(qs, v)));
    } else if (sum == DenseSum::intersection) {
      _mm256_storeu_ps(key + i, _mm256_sub_ps(k, _mm256_min_ps(qs, v)));
    } else {
      const __m256 apart = _mm256_andnot_ps(sign, _mm256_sub_ps(qs, v));
      const __m256 term = _mm256_sub_ps(_mm256_sub_ps(apart, size), _mm256_andnot_ps(sign, v));
      _mm256_storeu_ps(key + i, _mm256_add_ps(k, term));
    }
  }
}

}  // namespace cbir
#pragma GCC pop_options
#endif
