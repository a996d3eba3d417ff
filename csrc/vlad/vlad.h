// VLAD, the vector of locally aggregated descriptors (Jegou, Douze, Schmid, Perez, CVPR 2010; PAMI 2012).
//
// For an image with descriptors x, each assigned to its nearest word w(x), block i of its vector is the sum of what the
// word leaves unexplained,
//
//   v_i = sum over x with w(x) = i of (x - c_i),
//
// then, each step only where asked for and always in this order,
//
//   1. signed square root, v <- sign(v) sqrt(|v|)        (PAMI 2012, section 4.1, power law with alpha = 0.5)
//   2. intra-normalisation, v_i <- v_i / |v_i|           (Arandjelovic, Zisserman, CVPR 2013, section 3.2)
//   3. L2 of the whole vector, v <- v / |v|
//
// A block or a vector that is zero stays zero. The words of the descriptors come in from outside (kmeans/).
//
// How: the descriptors of one image are put in order of their words by a counting sort of their numbers, so that a
// block is summed in registers and written once, instead of being loaded and stored once per descriptor.
//
// Accumulators: sums in float32, in the order of the descriptors; norms in float64 (a square of a float32 is exact
// there, and can neither overflow nor vanish), in 16 lanes, element t to lane t % 16. Every level adds in this order
// and none fuses a multiply with a float32 add, so the bytes are the same at every SIMD level and thread count.
//
// Cost: N d reads and n k d writes; memory bound. The assignment before it costs k times as much arithmetic.
#pragma once

#include <cstdint>

#include "core/by_word.h"
#include "core/matrix.h"
#include "kmeans/kmeans.h"

namespace cbir::vlad {

struct Options {
  bool signed_sqrt;
  bool intra;
  bool l2;
};

// Encodes bag b = rows offsets[b] to offsets[b + 1] of `x` (N, d) into row b of `out` (n, k d).
// `word_ids` (N,) are in [0, k); `centroids` (k, d); `offsets` (n + 1,) rise from 0 to N. Everything is checked before.
void encode(Matrix<const float> x, Span<const int64_t> offsets, Span<const int32_t> word_ids,
            Matrix<const float> centroids, Options options, int n_threads, Matrix<float> out);

// The same from descriptors alone: each image is assigned, then encoded while its descriptors are still in cache, so
// that they are read from memory once. Throws std::invalid_argument where x holds NaN or infinity.
void transform(Matrix<const float> x, Span<const int64_t> offsets, const kmeans::Words& words, Options options,
               int n_threads, Matrix<float> out);

// The loops over one block, one row of the table per SIMD level.
inline constexpr int kLanes = 16;

// `rows` may be read so many entries further (core/by_word.h).
inline constexpr int64_t kAhead = ByWord::kAhead;

struct Kernels {
  // sum[t] = sum over i < n of (x[rows[i] * d + t] - c[t]), added in the order of i; n >= 1.
  void (*sum_residuals)(const float* x, const int32_t* rows, int64_t n, const float* c, int64_t d, float* sum);
  // v[t] = sign(v[t]) sqrt(|v[t]|)
  void (*signed_sqrt)(float* v, int64_t d);
  // lanes[t % kLanes] += v[t]^2
  void (*add_squares)(const float* v, int64_t d, double* lanes);
  // v[t] = v[t] * factor
  void (*scale)(float* v, int64_t d, float factor);
};

extern const Kernels kGeneric;
extern const Kernels kAvx2;    // x86-64 only
extern const Kernels kAvx512;  // x86-64 only

}  // namespace cbir::vlad
