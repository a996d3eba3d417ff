// An 8-bit filter before the float32 kernel (level avx512v): four times the multiply-adds per instruction, the same
// answer.
//
// Points and words are taken relative to the mean of the words (which changes no distance) and rounded to 8 bits:
// x' = a u + ex, c' = r q + ec. The dot product u.q is exact in int32, and by Cauchy-Schwarz
//
//   |x'.c' - a r u.q| <= |ex| max|c'| + |a u| max|ec| =: E
//
// with |ex| and |ec| measured, not assumed. A word whose 8-bit score is more than 2 E below the best one cannot be the
// nearest. The few that are left (about four of 1,024 for RootSIFT) are scored in float32, and where these scores lie
// within rounding of each other, in the very order of additions of the plain kernel. The word is the plain kernel's,
// ties included. A point with too many words left goes to the plain kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned.h"
#include "core/matrix.h"
#include "simd/level.h"

namespace cbir::kmeans {

inline constexpr int64_t kMaxLeft = 48;  // words left per point, before the plain kernel takes over

// One point after quantisation; norms are of the centred point.
struct CodeFacts {
  float step;       // a
  float error;      // |ex|
  float code_norm;  // |a u|
};

// The words in 8 bits. Panels (n_panels, groups, 64, 4) int8: four dimensions of a word side by side, as VNNI reads
// them.
struct FilterWords {
  FilterWords() = default;
  explicit FilterWords(Matrix<const float> centroids);

  int64_t groups = 0;  // ceil(d / 4); 0 where the filter is not worth its packing
  int64_t n_panels = 0;
  std::vector<float> mean;  // (d,)
  AlignedBuffer<int8_t> panels;
  AlignedBuffer<int32_t> start;  // -128 sum q: codes of points are stored as u + 128
  AlignedBuffer<float> scale;    // r
  AlignedBuffer<float> bias;     // -|c'|^2 / 2, -inf for words that fill up the last panel
  float max_centred = 0, max_error = 0, max_length = 0, mean_length = 0;  // |c'|, |ec|, |c|, |mean|
};

// Words still possible, per point: `count` of them in rising order, -1 where there were too many.
struct Left {
  std::vector<float> best;     // (n,) largest 8-bit score so far
  std::vector<float> margin;   // (n,)
  std::vector<int32_t> count;  // (n,)
  std::vector<int32_t> words;  // (n, kMaxLeft)
  std::vector<float> scores;   // (n, kMaxLeft)
};

struct FilterKernels {
  // codes (n, 4 groups), facts (n,)
  void (*quantise)(const float* x, int64_t n, int64_t d, int64_t groups, const float* mean, uint8_t* codes,
                   CodeFacts* facts);
  // Narrows `left` (n points) by all words.
  void (*scan)(const uint8_t* codes, const CodeFacts* facts, int64_t n, const FilterWords& words, Left& left);
  // Which of `words` the plain kernel would choose; `rounding` bounds the error of a float32 score.
  int32_t (*settle)(const float* x, Matrix<const float> centroids, const float* bias, const int32_t* words,
                    int64_t count, float rounding);
};

const FilterKernels* filter_avx512v();

using FilterFn = const FilterKernels* (*)();
#if defined(__x86_64__)
inline constexpr simd::Table<FilterFn> kFilter{nullptr, nullptr, nullptr, filter_avx512v};
#else
inline constexpr simd::Table<FilterFn> kFilter{nullptr, nullptr, nullptr, nullptr};
#endif

// Writes the word of each of n points, -1 where the plain kernel has to look. `bias` is the plain kernel's.
void filter_assign(const FilterKernels& kernels, const FilterWords& words, Matrix<const float> centroids,
                   const float* bias, const float* x, int64_t n, int32_t* word_ids);

}  // namespace cbir::kmeans
