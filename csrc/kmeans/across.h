// Reductions of eight rows at a time: one transposition for all, where each by itself would wait on a chain of
// shuffles. For files of level avx512v.
#pragma once

#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512V_BEGIN

namespace cbir::kmeans {
namespace {

// Joins, as types: a lambda's hidden function pointer would leave the target.
struct Larger {
  __m256i operator()(__m256i a, __m256i b) const { return _mm256_max_epi32(a, b); }
  __m256 operator()(__m256 a, __m256 b) const { return _mm256_max_ps(a, b); }
};
struct Sum {
  __m256 operator()(__m256 a, __m256 b) const { return _mm256_add_ps(a, b); }
};

// Both halves of 16 lanes, joined.
template <class Join>
inline __attribute__((always_inline)) __m256i halved(__m512i v, Join join) {
  return join(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}
template <class Join>
inline __attribute__((always_inline)) __m256 halved(__m512 v, Join join) {
  return join(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}

// Two rows interleaved, lanes of 32 bits or pairs of them, and their halves side by side.
inline __m256i low32(__m256i a, __m256i b) { return _mm256_unpacklo_epi32(a, b); }
inline __m256i high32(__m256i a, __m256i b) { return _mm256_unpackhi_epi32(a, b); }
inline __m256i low64(__m256i a, __m256i b) { return _mm256_unpacklo_epi64(a, b); }
inline __m256i high64(__m256i a, __m256i b) { return _mm256_unpackhi_epi64(a, b); }
inline __m256i lows(__m256i a, __m256i b) { return _mm256_permute2x128_si256(a, b, 0x20); }
inline __m256i highs(__m256i a, __m256i b) { return _mm256_permute2x128_si256(a, b, 0x31); }
inline __m256 low32(__m256 a, __m256 b) { return _mm256_unpacklo_ps(a, b); }
inline __m256 high32(__m256 a, __m256 b) { return _mm256_unpackhi_ps(a, b); }
inline __m256 low64(__m256 a, __m256 b) {
  return _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
inline __m256 high64(__m256 a, __m256 b) {
  return _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
inline __m256 lows(__m256 a, __m256 b) { return _mm256_permute2f128_ps(a, b, 0x20); }
inline __m256 highs(__m256 a, __m256 b) { return _mm256_permute2f128_ps(a, b, 0x31); }

// Lane r: the eight lanes of row r, joined. V is __m256 or __m256i.
template <class V, class Join>
inline __attribute__((always_inline)) V across(const V (&row)[8], Join join) {
  V pair[4], four[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    pair[i] = join(low32(row[2 * i], row[2 * i + 1]), high32(row[2 * i], row[2 * i + 1]));
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    four[i] = join(low64(pair[2 * i], pair[2 * i + 1]), high64(pair[2 * i], pair[2 * i + 1]));
  }
  return join(lows(four[0], four[1]), highs(four[0], four[1]));
}

}  // namespace
}  // namespace cbir::kmeans

CBIR_TARGET_END
#endif
