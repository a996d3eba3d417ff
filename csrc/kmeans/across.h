// Partial vectors, and reductions of eight rows at a time: one transposition for all, where each by itself would wait
// on a chain of shuffles. Included by files of level avx512v, inside their target, after immintrin.h.
#pragma once

namespace cbir::kmeans {
namespace {

// Joins, as types: a lambda's hidden function pointer would leave the target.
struct LargerInt {
  __m256i operator()(__m256i a, __m256i b) const { return _mm256_max_epi32(a, b); }
};
struct Larger {
  __m256i operator()(__m256i a, __m256i b) const {
    return _mm256_castps_si256(_mm256_max_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)));
  }
};
struct Sum {
  __m256i operator()(__m256i a, __m256i b) const {
    return _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)));
  }
};

// Both halves of 16 lanes, joined.
template <class Join>
inline __attribute__((always_inline)) __m256i halved(__m512i v, Join join) {
  return join(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

// Lane r: the eight lanes of row r, joined.
template <class Join>
inline __attribute__((always_inline)) __m256i across(const __m256i (&row)[8], Join join) {
  __m256i pair[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    pair[i] =
        join(_mm256_unpacklo_epi32(row[2 * i], row[2 * i + 1]), _mm256_unpackhi_epi32(row[2 * i], row[2 * i + 1]));
  }
  __m256i four[2];
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    four[i] =
        join(_mm256_unpacklo_epi64(pair[2 * i], pair[2 * i + 1]), _mm256_unpackhi_epi64(pair[2 * i], pair[2 * i + 1]));
  }
  return join(_mm256_permute2x128_si256(four[0], four[1], 0x20), _mm256_permute2x128_si256(four[0], four[1], 0x31));
}

}  // namespace
}  // namespace cbir::kmeans
