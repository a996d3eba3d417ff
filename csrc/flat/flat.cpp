#include "flat/flat.h"

#include <algorithm>
#include <vector>

#include "core/aligned.h"
#include "core/parallel.h"
#include "flat/search.h"
#include "flat/tile.h"
#include "simd/level.h"

namespace cbir {
namespace {

constexpr simd::Table<FlatTileFn> kTiles{flat_tile_generic,
#if defined(__x86_64__)
                                         flat_tile_avx2, flat_tile_avx512, nullptr
#else
                                         nullptr, nullptr, nullptr
#endif
};

// Below this many queries reading xb costs more than the arithmetic, so every row is scored directly.
constexpr int64_t kFewQueries = 6;
constexpr int64_t kDirectRows = 4096;

void search_directly(const Search& s) {
  const int64_t d = s.xb.cols;
  const int64_t block = std::clamp<int64_t>(4096 / d, 1, 256);  // rows that stay in L1 for all queries
  parallel_for(ceil_div(s.xb.rows, kDirectRows), s.n_threads, [&](int64_t chunk, int) {
    const int64_t end = std::min(s.xb.rows, (chunk + 1) * kDirectRows);
    float keys[256], scratch[256];
    for (int64_t begin = chunk * kDirectRows; begin < end; begin += block) {
      const int64_t n = std::min(block, end - begin);
      for (int64_t q = 0; q < s.xq.rows; ++q) {
        flat_keys(s.score, s.metric, s.xb.row(begin), n, d, s.xq.row(q), s.lengths2[q], scratch, keys);
        float worst = s.heaps.worst(q);
        for (int64_t i = 0; i < n; ++i) {
          if (keys[i] <= worst) worst = s.heaps.push(q, keys[i], s.ids[begin + i]);
        }
      }
    }
  });
}

// Queries [first, first + n) as panels (n_panels, d, 32); the places past the last query stay 0.
AlignedBuffer<float> pack(const Search& s, int64_t first, int64_t n, const std::vector<QuerySide>& sides) {
  const int64_t d = s.xq.cols, panels = ceil_div(n, kTileQueries);
  AlignedBuffer<float> packed(checked_mul(panels * kTileQueries, d));
  std::fill(packed.data(), packed.data() + packed.size(), 0.0f);
  for (int64_t i = 0; i < n; ++i) {
    const double factor = sides[first + i].factor();
    float* panel = packed.data() + i / kTileQueries * kTileQueries * d + i % kTileQueries;
    for (int64_t t = 0; t < d; ++t) panel[t * kTileQueries] = static_cast<float>(factor * s.xq.row(first + i)[t]);
  }
  return packed;
}

// One block of rows (about 128 KiB, it stays in L2) against one group of queries.
void search_block(const Search& s, int64_t begin, int64_t end, int64_t first, int64_t n, const float* packed,
                  const std::vector<QuerySide>& sides, FlatTileFn tile) {
  const int64_t d = s.xb.cols, panels = ceil_div(n, kTileQueries), rows = ceil_div(end - begin, kTileRows) * kTileRows;
  std::vector<float> offset(static_cast<size_t>(rows), 0.0f), scale(static_cast<size_t>(rows), 0.0f);
  std::vector<float> lengths2(static_cast<size_t>(end - begin));
  s.score.inner_products(s.xb.row(begin), end - begin, d, s.xb.row(begin), d, lengths2.data());
  for (int64_t i = 0; i < end - begin; ++i) row_side(s.metric, lengths2[i], d, &offset[i], &scale[i]);
  std::vector<float> tail;  // the last rows, padded to a whole tile
  if (rows != end - begin) {
    const int64_t whole = rows - kTileRows;
    tail.assign(static_cast<size_t>(kTileRows * d), 0.0f);
    std::copy(s.xb.row(begin + whole), s.xb.row(begin) + (end - begin) * d, tail.begin());
  }
  std::vector<float> worst(static_cast<size_t>(n));
  std::vector<float> limit(static_cast<size_t>(panels * kTileQueries), -kInfinity);
  for (int64_t i = 0; i < n; ++i) {
    worst[i] = s.heaps.worst(first + i);
    limit[i] = sides[first + i].limit(worst[i]);
  }
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t i = 0; i < rows; i += kTileRows) {
      uint32_t mask[kTileRows];
      const bool whole = begin + i + kTileRows <= end;
      tile(whole ? s.xb.row(begin + i) : tail.data(), d, &offset[i], &scale[i], packed + p * kTileQueries * d,
           &limit[p * kTileQueries], mask);
      for (int r = 0; r < kTileRows && begin + i + r < end; ++r) {
        for (uint32_t m = mask[r]; m != 0; m &= m - 1) {
          const int64_t q = p * kTileQueries + lowest_bit(m);
          worst[q] = s.offer(first + q, begin + i + r, worst[q]);
          limit[q] = sides[first + q].limit(worst[q]);
        }
      }
    }
  }
}

void search_in_tiles(const Search& s) {
  const int64_t d = s.xb.cols;
  const FlatTileFn tile = simd::pick(kTiles);
  const std::vector<QuerySide> sides = s.sides();
  const int64_t block = std::clamp<int64_t>(32768 / d / kTileRows, 1, 85) * kTileRows;
  const int64_t group = std::clamp<int64_t>(131072 / d / kTileQueries, 4, 128) * kTileQueries;
  for (int64_t first = 0; first < s.xq.rows; first += group) {
    const int64_t n = std::min(group, s.xq.rows - first);
    const AlignedBuffer<float> packed = pack(s, first, n, sides);
    parallel_for(ceil_div(s.xb.rows, block), s.n_threads, [&](int64_t b, int) {
      search_block(s, b * block, std::min(s.xb.rows, (b + 1) * block), first, n, packed.data(), sides, tile);
    });
  }
}

}  // namespace

void flat_search(Matrix<const float> xb, Span<const int64_t> ids, Matrix<const float> xq, FlatMetric metric, int64_t k,
                 int n_threads, float* keys, int64_t* hits) {
  FlatHeaps heaps(xq.rows, k);
  const Search search(xb, ids, xq, metric, n_threads, heaps);
  if (xq.rows < kFewQueries) {
    search_directly(search);
  } else if (!search_in_bytes(search)) {
    search_in_tiles(search);
  }
  for (int64_t q = 0; q < xq.rows; ++q) heaps.drain(q, keys + q * k, hits + q * k);
}

}  // namespace cbir
