// An 8-bit filter before the float32 kernel (level avx512v): four times the multiply-adds per instruction, the same
// answer.
//
// Points and words are taken relative to the mean of the words (which changes no distance) and rounded to 8 bits, each
// point with a step a of its own, all words with one step r: x' = a u + ex, c' = r q + ec. The score of a word in units
// of a r is then an integer,
//
//   I = u.q - |c'|^2 / (2 a r), rounded,
//
// which is exact but for that rounding and, by Cauchy-Schwarz, for
//
//   |x'.c' - a r u.q| <= |ex| max|c'| + |a u| max|ec| =: E
//
// with |ex| and |ec| measured, not assumed. A word whose I is more than 2 E and the roundings below the best one cannot
// be the nearest. What is left is a single word for two RootSIFT points in three, and about three of 1,024 for the
// third. These are scored in float32, and where the scores lie within rounding of each other, in the very order of
// additions of the plain kernel. The word is the plain kernel's, ties included. A point with too many words left goes
// to the plain kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned.h"
#include "core/matrix.h"
#include "simd/level.h"

namespace cbir::kmeans {

inline constexpr int64_t kMaxCandidates = 48;  // candidates of a point, before the plain kernel takes over

// The longest of the words: |c'|, |ec| and |c|; and |mean|.
struct WordLengths {
  double centred = 0, error = 0, whole = 0, mean = 0;
};

// How far scores may be off. Every field carries an inequality, for all words c:
struct FilterBound {
  FilterBound() = default;
  FilterBound(const WordLengths& words, int64_t d);

  // |float32 score of c - the exact one| <= slope |x'| + offset
  float rounding(float length) const { return slope * length + offset; }
  float slope = 0, offset = 0;

  // I(c) < max I - margin  =>  c is not the word that the float32 kernel would choose, where
  // margin = (|ex| per_error + |a u| per_norm + per_unit) / (a r) + per_point
  float per_error = 0, per_norm = 0, per_unit = 0, per_point = 0;
};

// The words in 8 bits. Panels (n_panels, groups, 64, 4) int8: four dimensions of a word side by side (core/bytes.h).
struct FilterWords {
  FilterWords() = default;
  // `mean` (d,) is that of the centroids.
  FilterWords(Matrix<const float> centroids, AlignedBuffer<float> mean);

  int64_t groups = 0;  // ceil(d / 4); 0 where the filter is not worth its packing
  int64_t n_panels = 0;
  AlignedBuffer<float> mean;  // (d,)
  AlignedBuffer<int8_t> panels;
  AlignedBuffer<float> bias;   // -|c'|^2 / 2, -inf for words that fill up the last panel
  AlignedBuffer<float> start;  // -128 sum q: codes of points are stored as u + 128
  float inverse_step = 0;      // 1 / r
  float least_step = 0;        // of a point: below, |c'|^2 / (2 a r) would overflow
  FilterBound bound;

 private:
  WordLengths pack(Matrix<const float> centroids, double step);
};

// A word that may be the nearest, and its I.
struct Candidate {
  int32_t word, score;
};

struct Pair {
  int32_t point, word;
};

// What the filter knows of n points. One of these serves a thread chunk after chunk: fresh pages for each would cost as
// much as the scan.
struct Narrowed {
  void reset(int64_t n, int64_t groups);

  std::vector<uint8_t> codes;   // (n, 4 groups)
  std::vector<float> units;     // (n,) 1 / (a r)
  std::vector<float> length;    // (n,) at least |x'|
  std::vector<int32_t> margin;  // (n,) how far below the best a candidate may lie; -1: the plain kernel has to look
  std::vector<int32_t> best;    // (n,) largest I so far
  std::vector<int32_t> count;   // (n,) candidates
  std::vector<Candidate> candidates;  // (n, kMaxCandidates) in rising order of words
};

struct FilterKernels {
  // Fills codes, units, length and margin of n points.
  void (*quantise)(Matrix<const float> x, const FilterWords& words, Narrowed& points);
  // Finds the candidates of n points.
  void (*scan)(int64_t n, const FilterWords& words, Narrowed& points);
  // scores[i] = the float32 score of pairs[i], its additions in any order.
  void (*pair_scores)(Matrix<const float> x, Matrix<const float> centroids, const float* bias, const Pair* pairs,
                      int64_t n, float* scores);
};

extern const FilterKernels kFilterAvx512v;  // x86-64 only
void quantise_avx512v(Matrix<const float> x, const FilterWords& words, Narrowed& points);

inline constexpr simd::Table<const FilterKernels*> kFilters{nullptr, CBIR_X86_ROWS(nullptr, nullptr, &kFilterAvx512v)};

// Writes the word of each point, -1 where the plain kernel has to look. `bias` is the plain kernel's.
void filter_assign(const FilterKernels& kernels, const FilterWords& words, Matrix<const float> centroids,
                   const float* bias, Matrix<const float> x, int32_t* word_ids);

}  // namespace cbir::kmeans
