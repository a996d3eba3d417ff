// Squared distances and inner products of rows, for every structure that returns them.
//
// Sixteen running sums, one per dimension modulo 16, added in a fixed tree; a product is rounded before it is added (no
// fused multiply-add), so every SIMD level gives the same bits, for a row by itself as for many. Error: at most
// (d / 16 + 5) roundings of sum|terms|.
#pragma once

#include <cstdint>

#include "core/matrix.h"
#include "simd/level.h"

namespace cbir {

struct DistanceKernels {
  // For row i < n of x (n, d), y being one vector for all (y_stride 0) or a row for each (y_stride d):
  //   squared_distances   out[i] = sum_t (x[i][t] - y[i][t])^2
  //   inner_products      out[i] = sum_t x[i][t] y[i][t]
  void (*squared_distances)(const float* x, int64_t n, int64_t d, const float* y, int64_t y_stride, float* out);
  void (*inner_products)(const float* x, int64_t n, int64_t d, const float* y, int64_t y_stride, float* out);

  // Of a query y (rows.cols,) to row ids[i] of `rows` for i < n, where the rows lie anywhere: graphs, trees,
  // re-ranking. A few rows are asked for ahead of their turn.
  void (*squared_distances_to)(const float* y, Matrix<const float> rows, const int64_t* ids, int64_t n, float* out);
  void (*inner_products_to)(const float* y, Matrix<const float> rows, const int64_t* ids, int64_t n, float* out);
};

extern const DistanceKernels kDistanceGeneric;
extern const DistanceKernels kDistanceAvx2;    // x86-64 only
extern const DistanceKernels kDistanceAvx512;  // x86-64 only

inline constexpr simd::Table<const DistanceKernels*> kDistances{
    &kDistanceGeneric, CBIR_X86_ROWS(&kDistanceAvx2, &kDistanceAvx512, nullptr)};

}  // namespace cbir
