#include "inverted_file/scan.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512_BEGIN

namespace cbir::inverted_file {
namespace {

int64_t scan(const float* key, int64_t n, float limit, uint16_t* out) {
  const __m512 bound = _mm512_set1_ps(limit);
  int64_t found = 0;
  for (int64_t i = 0; i < n; i += 16) {
    for (unsigned m = _mm512_cmp_ps_mask(_mm512_loadu_ps(key + i), bound, _CMP_LE_OQ); m != 0; m &= m - 1) {
      out[found++] = static_cast<uint16_t>(i + __builtin_ctz(m));
    }
  }
  return found;
}

constexpr int kTogether = 4;     // words that are read side by side: as many streams from memory
constexpr int64_t kAhead = 256;  // weights of each that are fetched before they are needed

template <DenseSum sum, int W>
void add_dense_words(const DenseWord* words, int64_t n_panels, float* key) {
  const float* weights[W];
  for (int w = 0; w < W; ++w) weights[w] = words[w].weights;
  for (int64_t p = 0; p < n_panels; ++p, key += 64) {
    __m512 sums[4];
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) sums[h] = _mm512_loadu_ps(key + 16 * h);
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) {
      const __m512 query = _mm512_set1_ps(words[w].query_weight), size = _mm512_abs_ps(query);
      const uint64_t mask = words[w].masks[p];
#pragma GCC unroll 4
      for (int h = 0; h < 4; ++h) {
        const __mmask16 m = static_cast<__mmask16>(mask >> (16 * h));
        if (h % 2 == 0) _mm_prefetch(weights[w] + kAhead, _MM_HINT_T0);
        const __m512 x = _mm512_maskz_expand_ps(m, _mm512_loadu_ps(weights[w]));
        weights[w] += __builtin_popcount(m);
        if constexpr (sum == DenseSum::l1) {
          const __m512 difference = _mm512_abs_ps(_mm512_sub_ps(query, x));
          sums[h] = _mm512_add_ps(sums[h], _mm512_sub_ps(_mm512_sub_ps(difference, size), _mm512_abs_ps(x)));
        } else {
          sums[h] = _mm512_sub_ps(sums[h], sum == DenseSum::ip ? _mm512_mul_ps(query, x) : _mm512_min_ps(x, query));
        }
      }
    }
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) _mm512_storeu_ps(key + 16 * h, sums[h]);
  }
}

template <DenseSum sum>
void add_dense_words(const DenseWord* words, int64_t n, int64_t n_panels, float* key) {
  int64_t i = 0;
  for (; i + kTogether <= n; i += kTogether) add_dense_words<sum, kTogether>(words + i, n_panels, key);
  for (; i < n; ++i) add_dense_words<sum, 1>(words + i, n_panels, key);
}

}  // namespace

const Kernels kAvx512{scan, add_dense_words<DenseSum::ip>, add_dense_words<DenseSum::intersection>,
                      add_dense_words<DenseSum::l1>};

}  // namespace cbir::inverted_file
CBIR_TARGET_END
#endif
