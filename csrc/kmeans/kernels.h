// Kernel rows of k-means: the scores of a block of points against packed words.
//
// |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2), and |x|^2 is the same for all words: the nearest word is the one with the
// largest score x.c - |c|^2 / 2. Words are packed in panels of 64, transposed: panels (n_panels, d, 64), bias
// (n_panels * 64,) = -|c|^2 / 2, and -inf for the words that fill up the last panel. Panel and bias are read side by
// side by every level, so a vocabulary is packed once, whatever the level.
//
// Accumulator: float32, starting at the bias, one term after the other in the order of t; a fused multiply-add at every
// level but `generic`. Error of a score: at most (d + 1) 2^-24 (sum |x_t c_t| + |c|^2 / 2).
#pragma once

#include <cstdint>

#include "simd/level.h"

namespace cbir::kmeans {

inline constexpr int64_t kPanel = 64;

// best, arg (n,): the best score so far and its word, replaced only by a larger score, so ties stay with the lower
// word.
using AssignFn = void (*)(const float* x, int64_t n, int64_t d, const float* panels, const float* bias,
                          int64_t n_panels, float* best, int32_t* arg);

// scores (n, n_panels * 64), overwritten.
using ScoresFn = void (*)(const float* x, int64_t n, int64_t d, const float* panels, const float* bias,
                          int64_t n_panels, float* scores);

// sums (d,) double += every listed row of x (., d), in the order listed.
using AddRowsFn = void (*)(const float* x, int64_t d, const int32_t* rows, int64_t n_rows, double* sums);

// |x - c|^2 by direct differences, 16 partial sums added pairwise at the end: the same bits at every level but
// `generic`.
using DistanceFn = float (*)(const float* x, const float* c, int64_t d);

void assign_generic(const float*, int64_t, int64_t, const float*, const float*, int64_t, float*, int32_t*);
void assign_avx2(const float*, int64_t, int64_t, const float*, const float*, int64_t, float*, int32_t*);
void assign_avx512(const float*, int64_t, int64_t, const float*, const float*, int64_t, float*, int32_t*);
void scores_generic(const float*, int64_t, int64_t, const float*, const float*, int64_t, float*);
void scores_avx2(const float*, int64_t, int64_t, const float*, const float*, int64_t, float*);
void scores_avx512(const float*, int64_t, int64_t, const float*, const float*, int64_t, float*);
void add_rows_generic(const float*, int64_t, const int32_t*, int64_t, double*);
void add_rows_avx512(const float*, int64_t, const int32_t*, int64_t, double*);
float distance_generic(const float*, const float*, int64_t);
float distance_avx2(const float*, const float*, int64_t);
float distance_avx512(const float*, const float*, int64_t);

#if defined(__x86_64__)
inline constexpr simd::Table<AssignFn> kAssign{assign_generic, assign_avx2, assign_avx512, nullptr};
inline constexpr simd::Table<ScoresFn> kScores{scores_generic, scores_avx2, scores_avx512, nullptr};
inline constexpr simd::Table<AddRowsFn> kAddRows{add_rows_generic, nullptr, add_rows_avx512, nullptr};
inline constexpr simd::Table<DistanceFn> kDistance{distance_generic, distance_avx2, distance_avx512, nullptr};
#else
inline constexpr simd::Table<AssignFn> kAssign{assign_generic, nullptr, nullptr, nullptr};
inline constexpr simd::Table<ScoresFn> kScores{scores_generic, nullptr, nullptr, nullptr};
inline constexpr simd::Table<AddRowsFn> kAddRows{add_rows_generic, nullptr, nullptr, nullptr};
inline constexpr simd::Table<DistanceFn> kDistance{distance_generic, nullptr, nullptr, nullptr};
#endif

}  // namespace cbir::kmeans
