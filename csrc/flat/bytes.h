// Exhaustive search filtered by 8-bit codes: a quarter of the arithmetic (VNNI multiplies 64 bytes where a fused
// multiply-add takes 16 floats), the same answer.
//
// Codes are made block by block while the rows pass, and thrown away. With the mean of w taken out of the query, w =
// mean + w', sum(w') = 0, and
//
//   row     x  = m + s c + r        c in -127..127, m the middle and 254 s the width of its range, r the rest
//   query   w' = t e + u            e in -127..127, u the rest
//   w . x   = mean sum(x)  +  s t (c . e)  +  t sum(e) (m - mean(x))  +  t e . r  +  u . (x - mean(x))
//
// the first two terms are evaluated, and the last three bounded by Cauchy-Schwarz from lengths measured while coding:
//
//   |rest| <= |t sum(e)| |m - mean(x)|  +  |t e| |r|  +  |u| |x - mean(x)|
//
// with the largest of each row length in a block of 64 rows. So key >= offset + scale w . x keeps its meaning
// (search.h) and no row that belongs to the answer is lost; on RootSIFT the bound lets through about three times k ln(n
// / k) rows.
#pragma once

#include <cstdint>

namespace cbir::flat {

inline constexpr int kByteRows = 64;
inline constexpr int kByteQueries = 6;

struct ByteRow {
  float sum, step;              // sum(x), s
  float rest, centred, middle;  // |r|, |x - mean(x)|, |m - mean(x)|, rounded up
};

// Codes row `at` of a block: four dimensions at a time, as c + 128, at codes[g * 256 + 4 * at].
using ByteCodeFn = void (*)(const float* x, int64_t d, int at, uint8_t* codes, ByteRow* row);

struct ByteTile {
  const uint8_t* codes;              // (groups, 64, 4)
  const float *offset, *step, *sum;  // (64,): offset, scale s, scale sum(x)
};

struct ByteQueries {
  const int8_t* codes;               // (6, 4 * groups)
  const int32_t* base;               // (6,): -128 sum(e)
  const float *step, *mean, *limit;  // (6,): t, mean(w), what the key is compared with
};

// mask[q] bit r  =  offset[r] + mean[q] sum[r] + t[q] step[r] (c . e)  <=  limit[q]
using ByteTileFn = void (*)(const ByteTile& rows, const ByteQueries& queries, int64_t groups, uint64_t* mask);

void byte_code_avx512v(const float* x, int64_t d, int at, uint8_t* codes, ByteRow* row);
void byte_tile_avx512v(const ByteTile& rows, const ByteQueries& queries, int64_t groups, uint64_t* mask);

}  // namespace cbir::flat
