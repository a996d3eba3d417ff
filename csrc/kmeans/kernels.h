// Kernels of k-means: the scores of a block of points against packed words.
//
// |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2), and |x|^2 is the same for all words: the nearest word is the one with the
// largest score x.c - |c|^2 / 2. Words are packed in panels of 64, transposed: panels (n_panels, d, 64), bias
// (n_panels * 64,) = -|c|^2 / 2, and -inf for the words that fill up the last panel. Panel and bias are read side by
// side by every level, so a vocabulary is packed once, whatever the level.
//
// Accumulator: float32, starting at the bias, one term after the other in the order of t; a fused multiply-add at every
// level but `generic`. Error of a score: at most (d + 1) 2^-24 (sum |x_t c_t| + |c|^2 / 2). Points and words are taken
// relative to the words' mean where they are far from 0 (words.cpp), so that is small against their distances.
#pragma once

#include <cstdint>

#include "core/matrix.h"
#include "simd/level.h"

namespace cbir::kmeans {

inline constexpr int64_t kPanel = 64;

// Words as a kernel reads them, `n_panels` panels of width d.
struct Panels {
  const float* words;
  const float* bias;
  int64_t n_panels;
};

struct Kernels {
  // best, arg (x.rows,): the best score so far and its word, replaced only by a larger score, so ties stay with the
  // lower word.
  void (*assign)(Matrix<const float> x, Panels panels, float* best, int32_t* arg);
  // scores (x.rows, n_panels * 64), overwritten; the very scores that `assign` compares.
  void (*scores)(Matrix<const float> x, Panels panels, float* scores);
  // sums (x.cols,) double += every listed row of x, in the order listed. `rows` may be read ByWord::kAhead further.
  void (*add_rows)(Matrix<const float> x, const int32_t* rows, int64_t n_rows, double* sums);
};

void add_rows_generic(Matrix<const float> x, const int32_t* rows, int64_t n_rows, double* sums);

extern const Kernels kGeneric;
extern const Kernels kAvx2;    // x86-64 only
extern const Kernels kAvx512;  // x86-64 only

inline constexpr simd::Table<const Kernels*> kTable{&kGeneric, CBIR_X86_ROWS(&kAvx2, &kAvx512, nullptr)};

}  // namespace cbir::kmeans
