#include "flat/flat.h"

#include <algorithm>
#include <vector>

#include "core/aligned.h"
#include "core/parallel.h"
#include "flat/search.h"
#include "flat/tile.h"
#include "simd/level.h"

namespace cbir::flat {
namespace {

constexpr simd::Table<TileFn> kTiles{tile_generic, CBIR_X86_ROWS(tile_avx2, tile_avx512, nullptr)};

// Below this many queries reading xb costs more than the arithmetic, so every row is scored directly.
constexpr int64_t kFewQueries = 6;
constexpr int64_t kDirectRows = 4096;

// Under a mask whole blocks are scored, for rows one by one would cost more; only a block without any is left out.
void search_directly(const Search& s) {
  const Allowed walked{nullptr, s.allowed.positions};
  const uint8_t* mask = s.allowed.mask;
  const int64_t d = s.xb.cols, places = s.allowed.places(s.xb.rows);
  const int64_t block = std::clamp<int64_t>(4096 / d, 1, 256);  // rows that stay in L1 for all queries
  parallel_for(ceil_div(places, kDirectRows), s.n_threads, [&](int64_t chunk, int) {
    const int64_t begin = chunk * kDirectRows, end = std::min(places, begin + kDirectRows);
    float keys[256], scratch[256];
    walked.for_runs(begin, end, block, [&](int64_t first, int64_t n) {
      if (mask != nullptr && std::all_of(mask + first, mask + first + n, [](uint8_t m) { return m == 0; })) return;
      for (int64_t q = 0; q < s.xq.rows; ++q) {
        keys_of(s.score, s.metric, s.xb.row(first), n, d, s.xq.row(q), s.lengths2[q], scratch, keys);
        float worst = s.collected.worst(q);
        for (int64_t i = 0; i < n; ++i) {
          if (!(keys[i] <= worst) || (mask != nullptr && !mask[first + i])) continue;
          worst = s.collected.push(q, keys[i], s.ids[first + i]);
        }
      }
    });
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
                  const std::vector<QuerySide>& sides, TileFn tile) {
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
    worst[i] = s.collected.worst(first + i);
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
  const TileFn tile = simd::pick(kTiles);
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

void search_many(const Search& s) {
  if (!search_in_bytes(s)) search_in_tiles(s);
}

// Listed rows are copied to where they lie side by side, 16 MiB at a time, and searched there: a copy costs as much as
// reading the row once, and all queries share it.
void search_listed(const Rows& rows, Matrix<const float> xq, Metric metric, int n_threads, Collected& collected) {
  const int64_t d = rows.x.cols, n = rows.allowed.positions.size;
  const int64_t chunk = std::min(n, std::max<int64_t>(kTileRows, (int64_t{1} << 22) / d));
  AlignedBuffer<float> copied(checked_mul(chunk, d));
  std::vector<int64_t> ids(static_cast<size_t>(chunk));
  for (int64_t begin = 0; begin < n; begin += chunk) {
    const int64_t here = std::min(chunk, n - begin);
    parallel_for(ceil_div(here, kDirectRows), n_threads, [&](int64_t part, int) {
      for (int64_t i = part * kDirectRows; i < std::min(here, (part + 1) * kDirectRows); ++i) {
        const int64_t at = rows.allowed.positions[begin + i];
        std::copy(rows.x.row(at), rows.x.row(at) + d, copied.data() + i * d);
        ids[i] = rows.ids[at];
      }
    });
    search_many(Search({{copied.data(), here, d}, {ids.data(), here}, {}}, xq, metric, n_threads, collected));
  }
}

void search_rows(const Rows& rows, Matrix<const float> xq, Metric metric, int n_threads, Collected& collected) {
  if (xq.rows < kFewQueries) {
    search_directly(Search(rows, xq, metric, n_threads, collected));
  } else if (rows.allowed.listed()) {
    search_listed(rows, xq, metric, n_threads, collected);
  } else {
    search_many(Search(rows, xq, metric, n_threads, collected));
  }
}

}  // namespace

void search(const Rows& rows, Matrix<const float> xq, Metric metric, int64_t k, int n_threads, float* keys,
            int64_t* hits) {
  Collected collected(xq.rows, k);
  search_rows(rows, xq, metric, n_threads, collected);
  for (int64_t q = 0; q < xq.rows; ++q) collected.of(q).drain(keys + q * k, hits + q * k);
}

std::vector<std::vector<std::pair<float, int64_t>>> range(const Rows& rows, Matrix<const float> xq, Metric metric,
                                                          float radius, int n_threads) {
  Collected collected(xq.rows, rows.x.rows, radius);
  search_rows(rows, xq, metric, n_threads, collected);
  std::vector<std::vector<std::pair<float, int64_t>>> found(static_cast<size_t>(xq.rows));
  parallel_for(xq.rows, n_threads, [&](int64_t q, int) { found[q] = collected.of(q).take(); });
  return found;
}

void score_pairs(Matrix<const float> xb, Matrix<const float> xq, Metric metric, Matrix<const int64_t> positions,
                 int n_threads, float* keys) {
  const DistanceKernels& score = *simd::pick(kDistances);
  const int64_t m = positions.cols, pairs = checked_mul(xq.rows, m), d = xb.cols;
  std::vector<float> lengths2(static_cast<size_t>(xq.rows));
  score.inner_products(xq.data, xq.rows, d, xq.data, d, lengths2.data());
  parallel_for(ceil_div(pairs, kDirectRows), n_threads, [&](int64_t chunk, int) {
    for (int64_t i = chunk * kDirectRows; i < std::min(pairs, (chunk + 1) * kDirectRows); ++i) {
      const int64_t q = i / m, at = positions.row(positions.rows == 1 ? 0 : q)[i % m];
      float scratch;
      keys[i] = kInfinity;
      if (at >= 0) keys_of(score, metric, xb.row(at), 1, d, xq.row(q), lengths2[q], &scratch, &keys[i]);
    }
  });
}

}  // namespace cbir::flat
