#include "flat/bytes.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/aligned.h"
#include "core/parallel.h"
#include "flat/search.h"
#include "simd/level.h"

namespace cbir::flat {
namespace {

struct ByteKernels {
  ByteCodeFn code;
  ByteTileFn tile;
};

const ByteKernels* kernels() {
#if CBIR_X86
  static constexpr ByteKernels avx512v{byte_code_avx512v, byte_tile_avx512v};
  return simd::level() == simd::Level::avx512v ? &avx512v : nullptr;
#else
  return nullptr;
#endif
}

constexpr int64_t kManyQueries = 96;          // with fewer, coding a row costs more than it saves
constexpr int64_t kLargestDimension = 65536;  // 255 * 127 * d must stay below 2^31
constexpr int64_t kBlocksPerChunk = 16;

// A group of queries as the kernel takes them; lanes past the last query can never pass.
struct CodedQueries {
  int64_t n, padded, groups;
  AlignedBuffer<int8_t> codes;
  std::vector<int32_t> base;
  std::vector<float> step, mean;
  std::vector<float> by_middle, by_rest, by_centred;  // |t sum(e)|, |t e|, |u|, rounded up

  CodedQueries(const Search& s, int64_t first, int64_t count, const std::vector<QuerySide>& sides)
      : n(count),
        padded(ceil_div(count, kByteQueries) * kByteQueries),
        groups(ceil_div(s.xq.cols, 4)),
        codes(checked_mul(padded, 4 * groups)),
        base(padded),
        step(padded),
        mean(padded),
        by_middle(padded),
        by_rest(padded),
        by_centred(padded) {
    std::fill(codes.data(), codes.data() + codes.size(), int8_t{0});
    for (int64_t i = 0; i < n; ++i) encode(s.xq.row(first + i), s.xq.cols, sides[first + i].factor(), i);
  }

  void encode(const float* q, int64_t d, double factor, int64_t i) {
    double total = 0, widest = 0;
    for (int64_t j = 0; j < d; ++j) total += factor * q[j];
    const double centre = total / static_cast<double>(d);
    for (int64_t j = 0; j < d; ++j) widest = std::max(widest, std::fabs(factor * q[j] - centre));
    const float t = static_cast<float>(widest / 127);
    int32_t sum = 0;
    double coded = 0, rest = 0;
    for (int64_t j = 0; j < d; ++j) {
      const double w = factor * q[j] - centre;
      const int e = t > 1e-30f ? std::clamp(static_cast<int>(std::lrint(w / t)), -127, 127) : 0;
      codes[i * 4 * groups + j] = static_cast<int8_t>(e);
      sum += e;
      coded += static_cast<double>(e) * e;
      rest += (w - static_cast<double>(t) * e) * (w - static_cast<double>(t) * e);
    }
    constexpr double up = 1.0001;
    base[i] = -128 * sum;
    step[i] = t;
    mean[i] = static_cast<float>(centre);
    by_middle[i] = static_cast<float>(up * std::fabs(static_cast<double>(t) * sum));
    by_rest[i] = static_cast<float>(up * t * std::sqrt(coded));
    by_centred[i] = static_cast<float>(up * std::sqrt(rest));
  }
};

// What one thread works with.
struct Scratch {
  AlignedBuffer<uint8_t> codes;
  AlignedBuffer<float> offset{kByteRows}, step{kByteRows}, sum{kByteRows};
  std::vector<float> worst, limit, block_limit;

  Scratch(const Search& s, const CodedQueries& queries, int64_t first, const std::vector<QuerySide>& sides)
      : codes(checked_mul(queries.groups, 4 * kByteRows)),
        worst(queries.n),
        limit(queries.padded, -kInfinity),
        block_limit(queries.padded) {
    std::fill(codes.data(), codes.data() + codes.size(), uint8_t{128});
    for (int64_t i = 0; i < queries.n; ++i) {
      worst[i] = s.collected.worst(first + i);
      limit[i] = limit_of(sides[first + i], worst[i]);
    }
  }

  // A little above the exact limit, for the roundings of block_limit.
  static float limit_of(const QuerySide& side, float worst) {
    const float v = side.limit(worst);
    return v == kInfinity ? v : round_up(v + std::fabs(static_cast<double>(v)) * 0x1p-21);
  }
};

// Codes rows [begin, end) and widens the limits by what the codes may hide.
void code_block(const Search& s, const ByteKernels& k, const CodedQueries& queries, int64_t begin, int64_t end,
                Scratch& scratch) {
  float middle = 0, rest = 0, centred = 0, lengths2[kByteRows];
  s.score.inner_products(s.xb.row(begin), end - begin, s.xb.cols, s.xb.row(begin), s.xb.cols, lengths2);
  for (int64_t r = 0; r < kByteRows; ++r) {
    if (begin + r >= end) {  // no row: NaN passes no comparison
      scratch.offset[r] = std::numeric_limits<float>::quiet_NaN();
      scratch.step[r] = scratch.sum[r] = 0;
      continue;
    }
    ByteRow row;
    float scale;
    row_side(s.metric, lengths2[r], s.xb.cols, &scratch.offset[r], &scale);
    k.code(s.xb.row(begin + r), s.xb.cols, static_cast<int>(r), scratch.codes.data(), &row);
    scratch.step[r] = scale * row.step;
    scratch.sum[r] = scale * row.sum;
    middle = std::max(middle, scale * row.middle);
    rest = std::max(rest, scale * row.rest);
    centred = std::max(centred, scale * row.centred);
  }
  for (int64_t i = 0; i < queries.padded; ++i) {
    scratch.block_limit[i] = scratch.limit[i] + (queries.by_middle[i] * middle + queries.by_rest[i] * rest +
                                                 queries.by_centred[i] * centred);
  }
}

void search_block(const Search& s, const ByteKernels& k, const CodedQueries& queries, int64_t first,
                  const std::vector<QuerySide>& sides, int64_t begin, int64_t end, Scratch& scratch) {
  code_block(s, k, queries, begin, end, scratch);
  const ByteTile rows{scratch.codes.data(), scratch.offset.data(), scratch.step.data(), scratch.sum.data()};
  for (int64_t i = 0; i < queries.padded; i += kByteQueries) {
    uint64_t mask[kByteQueries];
    k.tile(rows,
           {queries.codes.data() + i * 4 * queries.groups, &queries.base[i], &queries.step[i], &queries.mean[i],
            &scratch.block_limit[i]},
           queries.groups, mask);
    for (int64_t j = i; j < std::min(i + kByteQueries, queries.n); ++j) {
      uint64_t m = mask[j - i];
      if (m == 0) continue;
      for (; m != 0; m &= m - 1) {
        scratch.worst[j] = s.offer(first + j, begin + lowest_bit(m), scratch.worst[j]);
      }
      scratch.limit[j] = Scratch::limit_of(sides[first + j], scratch.worst[j]);
    }
  }
}

}  // namespace

bool search_in_bytes(const Search& s) {
  // The level is read once: another thread may change it at any time.
  const ByteKernels* const found = kernels();
  if (!found || s.xq.rows < kManyQueries || s.xb.cols < 16 || s.xb.cols >= kLargestDimension) return false;
  const ByteKernels& k = *found;
  const std::vector<QuerySide> sides = s.sides();
  // Their codes stay in L2 (about 256 KiB) while the rows stream past.
  const int64_t group = std::clamp<int64_t>(262144 / s.xq.cols, kManyQueries, 4096);
  constexpr int64_t chunk_rows = kBlocksPerChunk * kByteRows;
  for (int64_t first = 0; first < s.xq.rows; first += group) {
    const CodedQueries queries(s, first, std::min(group, s.xq.rows - first), sides);
    parallel_for(ceil_div(s.xb.rows, chunk_rows), s.n_threads, [&](int64_t chunk, int) {
      Scratch scratch(s, queries, first, sides);
      const int64_t end = std::min(s.xb.rows, (chunk + 1) * chunk_rows);
      for (int64_t begin = chunk * chunk_rows; begin < end; begin += kByteRows) {
        search_block(s, k, queries, first, sides, begin, std::min(end, begin + kByteRows), scratch);
      }
    });
  }
  return true;
}

}  // namespace cbir::flat
