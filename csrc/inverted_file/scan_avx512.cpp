#include "inverted_file/scan.h"
#include "simd/target.h"

#if defined(__x86_64__)
#include <immintrin.h>

CBIR_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")

#include "inverted_file/dense.h"

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

void dense_avx512(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride) {
  typedef float Lanes __attribute__((vector_size(64), may_alias));
  dense_any<Lanes, 4>(sum, panel, words, key, stride);
}

}  // namespace cbir
CBIR_TARGET_END
#endif
