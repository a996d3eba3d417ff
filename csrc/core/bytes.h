// Products of 8-bit codes with VNNI: 64 multiply-adds an instruction, where float32 has 16. What flat/bytes and
// kmeans/filter have in common; each says by a bound of its own what its codes may hide.
//
// A panel holds 64 vectors, four dimensions at a time side by side: (groups, 64, 4) bytes with groups = ceil(d / 4).
// The rows that meet it lie one after the other, `stride` bytes each, filled up with zeros to whole groups. VNNI
// multiplies unsigned by signed bytes, so one side is stored with 128 added, and 128 times the sum of the other side's
// codes is taken off at the start. Sums are int32: exact while 255 * 127 * d < 2^31.
//
// Included by files of level avx512v only.
#pragma once

#include <cstdint>

#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512V_BEGIN

namespace cbir::bytes {

inline constexpr int kPanel = 64;
inline constexpr int kVectors = kPanel / 16;
inline constexpr int kRows = 6;  // with a panel of 64: 24 sums, 4 vectors of codes and a broadcast in 29 registers

enum class Unsigned { rows, panel };

// acc += u8 x s8 products, four to a lane. Written out because GCC 12 copies and spills all 24 accumulators of a tile
// around _mm512_dpbusd_epi32, which made whole searches take 1.4 to 1.6 times as long.
inline __attribute__((always_inline)) void multiply_add(__m512i& acc, __m512i u, __m512i s) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
}

using Word32 __attribute__((may_alias, aligned(1))) = int32_t;

// acc[r][h] += the products of row r with vectors 16 h to 16 h + 15 of the panel; groups is at least 1.
template <Unsigned side, int R>
inline __attribute__((always_inline)) void add_products(const void* rows, int64_t stride, const void* panel,
                                                        int64_t groups, __m512i (&acc)[R][kVectors]) {
  const char *row = static_cast<const char*>(rows), *vectors = static_cast<const char*>(panel);
  // A loop that might not run at all would have its 24 accumulators in two places.
  int64_t g = 0;
  do {
    __m512i c[kVectors];
#pragma GCC unroll 4
    for (int h = 0; h < kVectors; ++h) c[h] = _mm512_loadu_si512(vectors + (g * kPanel + 16 * h) * 4);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m512i v = _mm512_set1_epi32(*reinterpret_cast<const Word32*>(row + r * stride + 4 * g));
#pragma GCC unroll 4
      for (int h = 0; h < kVectors; ++h) {
        if constexpr (side == Unsigned::rows) {
          multiply_add(acc[r][h], v, c[h]);
        } else {
          multiply_add(acc[r][h], c[h], v);
        }
      }
    }
  } while (++g < groups);
}

}  // namespace cbir::bytes

CBIR_TARGET_END
#endif
