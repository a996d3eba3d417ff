#include "inverted_file/scan.h"
#include "simd/target.h"

#if defined(__x86_64__)

// GCC 12 warns of its own header (PR105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
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

void expand_avx512(uint64_t mask, const float* weights, float* out) {
#pragma GCC unroll 4
  for (int h = 0; h < 4; ++h) {
    const __mmask16 m = static_cast<__mmask16>(mask >> (16 * h));
    _mm512_storeu_ps(out + 16 * h, _mm512_maskz_expand_ps(m, _mm512_loadu_ps(weights)));
    weights += __builtin_popcount(m);
  }
}

namespace {

template <DenseSum sum>
void dense_word(const uint64_t* masks, const float* weights, int64_t n_panels, float q, float* key) {
  const __m512 query = _mm512_set1_ps(q), size = _mm512_abs_ps(query);
  for (int64_t p = 0; p < n_panels; ++p, key += 64) {
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) {
      const __mmask16 m = static_cast<__mmask16>(masks[p] >> (16 * h));
      const __m512 x = _mm512_maskz_expand_ps(m, _mm512_loadu_ps(weights)), k = _mm512_loadu_ps(key + 16 * h);
      weights += __builtin_popcount(m);
      if constexpr (sum == DenseSum::l1) {
        const __m512 difference = _mm512_abs_ps(_mm512_sub_ps(query, x));
        const __m512 term = _mm512_sub_ps(_mm512_sub_ps(difference, size), _mm512_abs_ps(x));
        _mm512_storeu_ps(key + 16 * h, _mm512_add_ps(k, term));
      } else {
        const __m512 term = sum == DenseSum::ip ? _mm512_mul_ps(query, x) : _mm512_min_ps(x, query);
        _mm512_storeu_ps(key + 16 * h, _mm512_sub_ps(k, term));
      }
    }
  }
}

}  // namespace

void dense_word_avx512(DenseSum sum, const uint64_t* masks, const float* weights, int64_t n_panels, float q,
                       float* key) {
  switch (sum) {
    case DenseSum::ip:
      return dense_word<DenseSum::ip>(masks, weights, n_panels, q, key);
    case DenseSum::intersection:
      return dense_word<DenseSum::intersection>(masks, weights, n_panels, q, key);
    case DenseSum::l1:
      return dense_word<DenseSum::l1>(masks, weights, n_panels, q, key);
  }
}

void dense_avx512(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride) {
  typedef float Lanes __attribute__((vector_size(64), may_alias));
  dense_any<Lanes, 4>(sum, panel, words, key, stride);
}

}  // namespace cbir
CBIR_TARGET_END
#endif
