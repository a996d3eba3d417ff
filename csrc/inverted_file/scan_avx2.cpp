#include "inverted_file/scan.h"
#include "simd/target.h"

#if defined(__x86_64__)
#include <immintrin.h>

CBIR_TARGET_BEGIN("avx2,fma")

#include "inverted_file/dense.h"

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

void dense_avx2(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride) {
  typedef float Lanes __attribute__((vector_size(32), may_alias));
  dense_any<Lanes, 2>(sum, panel, words, key, stride);
}

}  // namespace cbir
CBIR_TARGET_END
#endif
