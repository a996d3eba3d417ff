// What every file of an x86 level begins with: the intrinsics, the marks of its level, and what all of them would write
// again. Such a file reads
//
//   #include "simd/x86.h"        (and all its other headers: see target.h)
//   #if CBIR_X86
//   CBIR_AVX512_BEGIN
//   ...
//   CBIR_TARGET_END
//   #endif
#pragma once

#include <cstdint>

#include "simd/level.h"
#include "simd/target.h"

#if CBIR_X86

// GCC 12 warns of its own header (PR105593), where its functions are inlined, so for the whole file.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define CBIR_AVX2_BEGIN CBIR_TARGET_BEGIN("avx2,fma,popcnt")
#define CBIR_AVX512_BEGIN CBIR_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt")
#define CBIR_AVX512V_BEGIN \
  CBIR_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx512vpopcntdq,avx2,fma,popcnt")

CBIR_AVX2_BEGIN

namespace cbir::simd {

// Sixteen sums in a fixed tree: halves, quarters, pairs.
inline float tree_sum(__m256 low, __m256 high) {
  const __m256 s8 = _mm256_add_ps(low, high);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

}  // namespace cbir::simd

CBIR_TARGET_END
CBIR_AVX512_BEGIN

namespace cbir::simd {

inline float tree_sum(__m512 s) { return tree_sum(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1)); }

// The first `left` of 16 lanes, all of them where there are more; `left` is not negative.
inline __mmask16 first_lanes(int64_t left) {
  return left >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << left) - 1u);
}

}  // namespace cbir::simd

CBIR_TARGET_END
#endif
