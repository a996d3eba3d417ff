// Scores of one panel (64 rows) for a few queries, with the sums of a tile of rows in registers while all words go by.
// Included by each level's file inside its target pragma: V is that level's vector, kTile the vectors of one tile, so
// that queries x kTile sums, kTile rows and a product fit its registers. One text for all levels, hence equal bits.
#pragma once

#include "inverted_file/scan.h"

namespace cbir {
namespace {

template <class V>
inline V size_of(V v) {
  return v < V{} ? -v : v;
}

template <DenseSum sum, class V>
inline V add_dense(V key, float weight, V x) {
  const V q = weight - V{};  // in every lane
  if constexpr (sum == DenseSum::ip) return key - q * x;
  if constexpr (sum == DenseSum::intersection) return key - (x < q ? x : q);
  return key + (size_of(q - x) - size_of(q) - size_of(x));
}

template <class V, int kTile, DenseSum sum, int kQueries>
void dense_tiles(const float* panel, const DenseWords& words, float* key, int64_t stride) {
  constexpr int kLanes = sizeof(V) / sizeof(float), kPanel = 64;
  for (int row = 0; row < kPanel; row += kTile * kLanes) {
    V sums[kQueries][kTile];
    for (int r = 0; r < kQueries; ++r) {
      for (int t = 0; t < kTile; ++t) sums[r][t] = *reinterpret_cast<const V*>(key + r * stride + row + t * kLanes);
    }
    const float* q = words.weights;
    for (int64_t j = 0; j < words.n; ++j, q += kQueries) {
      const float* x = panel + int64_t{words.at[j]} * kPanel + row;
#pragma GCC unroll 8
      for (int t = 0; t < kTile; ++t) {
        const V v = *reinterpret_cast<const V*>(x + t * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < kQueries; ++r) sums[r][t] = add_dense<sum, V>(sums[r][t], q[r], v);
      }
    }
    for (int r = 0; r < kQueries; ++r) {
      for (int t = 0; t < kTile; ++t) *reinterpret_cast<V*>(key + r * stride + row + t * kLanes) = sums[r][t];
    }
  }
}

template <class V, int kTile, DenseSum sum, int kQueries = kDenseQueries>
void dense_for(const float* panel, const DenseWords& words, float* key, int64_t stride) {
  if (words.n_queries == kQueries) return dense_tiles<V, kTile, sum, kQueries>(panel, words, key, stride);
  if constexpr (kQueries > 1) dense_for<V, kTile, sum, kQueries - 1>(panel, words, key, stride);
}

template <class V, int kTile>
void dense_any(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride) {
  switch (sum) {
    case DenseSum::ip:
      return dense_for<V, kTile, DenseSum::ip>(panel, words, key, stride);
    case DenseSum::intersection:
      return dense_for<V, kTile, DenseSum::intersection>(panel, words, key, stride);
    case DenseSum::l1:
      return dense_for<V, kTile, DenseSum::l1>(panel, words, key, stride);
  }
}

}  // namespace
}  // namespace cbir
