// The 8-bit filter with VNNI: 6 points by 64 words, 4 dimensions an instruction. See filter.h.
#include "core/bytes.h"
#include "kmeans/across.h"
#include "kmeans/filter.h"
#include "kmeans/kernels.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512V_BEGIN

namespace cbir::kmeans {
namespace {

using bytes::kRows, bytes::kVectors;
static_assert(kPanel == bytes::kPanel);
constexpr int64_t kStrip = 4;  // panels that stay in L1 while all points pass: 32 KiB at d = 128

// The scores of some points against the panels of a strip.
struct Tile {
  alignas(64) int32_t scores[kRows][kStrip * kPanel];
  alignas(64) int32_t top[kRows][16];  // largest of each lane
  int64_t first_point, n_panels;
  int32_t first_word, rows;
};

template <int R>
void score(const uint8_t* codes, const float* units, int64_t groups, const int8_t* panels, const float* bias,
           const float* start, Tile& tile) {
  for (int64_t p = 0; p < tile.n_panels; ++p) {
    const int8_t* panel = panels + p * groups * kPanel * 4;
    __m512i acc[R][kVectors];
#pragma GCC unroll 4
    for (int h = 0; h < kVectors; ++h) {
      const __m512 norms = _mm512_loadu_ps(bias + p * kPanel + 16 * h);
      const __m512 starts = _mm512_loadu_ps(start + p * kPanel + 16 * h);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        acc[r][h] = _mm512_cvtps_epi32(_mm512_fmadd_ps(norms, _mm512_set1_ps(units[r]), starts));
      }
    }
    bytes::add_products<bytes::Unsigned::rows>(codes, groups * 4, panel, groups, acc);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int h = 0; h < kVectors; ++h) _mm512_store_si512(tile.scores[r] + p * kPanel + 16 * h, acc[r][h]);
      __m512i top = _mm512_max_epi32(_mm512_max_epi32(acc[r][0], acc[r][1]), _mm512_max_epi32(acc[r][2], acc[r][3]));
      if (p > 0) top = _mm512_max_epi32(top, _mm512_load_si512(tile.top[r]));
      _mm512_store_si512(tile.top[r], top);
    }
  }
}

// Drops what the best score has overtaken since.
int32_t drop(Candidate* candidates, int32_t count, int32_t threshold) {
  int32_t kept = 0;
  for (int32_t j = 0; j < count; ++j) {
    if (candidates[j].score >= threshold) candidates[kept++] = candidates[j];
  }
  return kept;
}

// Takes up the words of the tile's strip that are within the margin of the best one of point i.
void take_up(const int32_t* scores, int64_t n_panels, int32_t first_word, int64_t i, int32_t threshold,
             Narrowed& points) {
  Candidate* candidates = points.candidates.data() + i * kMaxCandidates;
  int32_t count = points.count[i];
  const __m512i least = _mm512_set1_epi32(threshold);
  for (int64_t p = 0; p < n_panels; ++p, scores += kPanel, first_word += kPanel) {
    uint64_t near = 0;
#pragma GCC unroll 4
    for (int h = 0; h < kVectors; ++h) {
      near |= static_cast<uint64_t>(_mm512_cmpge_epi32_mask(_mm512_load_si512(scores + 16 * h), least)) << (16 * h);
    }
    for (; near; near &= near - 1) {
      if (count == kMaxCandidates && (count = drop(candidates, count, threshold)) == kMaxCandidates) {
        points.margin[i] = -1;  // from now on nothing is near enough
        points.count[i] = 0;
        return;
      }
      const int j = __builtin_ctzll(near);
      candidates[count++] = {first_word + j, scores[j]};
    }
  }
  points.count[i] = count;
}

void narrow(const Tile& tile, Narrowed& points) {
  __m256i top[8];
  for (int r = 0; r < 8; ++r) top[r] = halved(_mm512_load_si512(tile.top[r < kRows ? r : 0]), Larger());
  const __mmask8 rows = static_cast<__mmask8>((1u << tile.rows) - 1);
  int32_t *best = points.best.data() + tile.first_point, *margin = points.margin.data() + tile.first_point;
  const __m256i highest = across(top, Larger()),
                best_now = _mm256_max_epi32(highest, _mm256_maskz_loadu_epi32(rows, best));
  _mm256_mask_storeu_epi32(best, rows, best_now);
  const __m256i threshold = _mm256_sub_epi32(best_now, _mm256_maskz_loadu_epi32(rows, margin));
  alignas(32) int32_t thresholds[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(thresholds), threshold);
  for (uint32_t near = _mm256_mask_cmpge_epi32_mask(rows, highest, threshold); near; near &= near - 1) {
    const int r = __builtin_ctz(near);
    take_up(tile.scores[r], tile.n_panels, tile.first_word, tile.first_point + r, thresholds[r], points);
  }
}

// A tile is narrowed while the next one's products are on their way: a branch guessed wrong holds up less then.
void scan(int64_t n, const FilterWords& words, Narrowed& points) {
  static_assert(kRows <= 8);
  Tile tiles[2];
  int64_t n_tiles = 0;
  const int64_t groups = words.groups;
  for (int64_t p = 0; p < words.n_panels; p += kStrip) {
    const int8_t* panels = words.panels.data() + p * groups * kPanel * 4;
    const float *bias = words.bias.data() + p * kPanel, *start = words.start.data() + p * kPanel;
    for (int64_t i = 0; i < n;) {
      Tile& tile = tiles[n_tiles % 2];
      tile.first_point = i;
      tile.n_panels = words.n_panels - p < kStrip ? words.n_panels - p : kStrip;
      tile.first_word = static_cast<int32_t>(p * kPanel);
      tile.rows = n - i >= kRows ? kRows : n - i >= 2 ? 2 : 1;
      const uint8_t* codes = points.codes.data() + i * groups * 4;
      const float* units = points.units.data() + i;
      const auto score_rows = tile.rows == kRows ? score<kRows> : tile.rows == 2 ? score<2> : score<1>;
      score_rows(codes, units, groups, panels, bias, start, tile);
      if (n_tiles > 0) narrow(tiles[(n_tiles - 1) % 2], points);
      ++n_tiles;
      i += tile.rows;
    }
  }
  if (n_tiles > 0) narrow(tiles[(n_tiles - 1) % 2], points);
}

// The products of one pair in 16 lanes.
inline __m512 products(const float* x, const float* c, int64_t d) {
  __m512 s0 = _mm512_setzero_ps(), s1 = _mm512_setzero_ps();
  int64_t t = 0;
  for (; t + 32 <= d; t += 32) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(x + t), _mm512_loadu_ps(c + t), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(x + t + 16), _mm512_loadu_ps(c + t + 16), s1);
  }
  for (; t < d; t += 16) {
    const __mmask16 in = simd::first_lanes(d - t);
    s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(in, x + t), _mm512_maskz_loadu_ps(in, c + t), s0);
  }
  return _mm512_add_ps(s0, s1);
}

void pair_scores(Matrix<const float> x, Matrix<const float> centroids, const float* bias, const Pair* pairs, int64_t n,
                 float* scores) {
  const int64_t d = centroids.cols;
  for (int64_t i = 0; i < n; i += 8) {
    const int64_t rows = n - i < 8 ? n - i : 8;
    __m256 part[8];
    alignas(32) float norms[8];
    for (int64_t r = 0; r < 8; ++r) {
      const Pair pair = pairs[i + (r < rows ? r : 0)];
      part[r] = halved(products(x.row(pair.point), centroids.row(pair.word), d), Sum());
      norms[r] = bias[pair.word];
    }
    const __m256 found = _mm256_add_ps(across(part, Sum()), _mm256_load_ps(norms));
    _mm256_mask_storeu_ps(scores + i, static_cast<__mmask8>((1u << rows) - 1), found);
  }
}

}  // namespace

const FilterKernels kFilterAvx512v{quantise_avx512v, scan, pair_scores};

}  // namespace cbir::kmeans

CBIR_TARGET_END
#endif
