// What is done to a whole block of scores at once: adding the words that very many images have, and finding the scores
// that may enter the k best.
#pragma once

#include <cstdint>

#include "simd/level.h"

namespace cbir::inverted_file {

// One dense word of a block and its weight in one query.
struct DenseWord {
  const uint64_t* masks;  // (n_panels,)
  const float* weights;   // of the rows whose bit is set; may be read 15 floats past the end
  float query_weight;
};

// Adds n dense words to the scores of one query, in their order: for row i of n_panels * 64 whose bit is set in a
// word's masks, with q of the query and x the next of the word's weights,
//   ip             key[i] -= q x, rounded twice at every level
//   intersection   key[i] -= min(q, x)
//   l1             key[i] += |q - x| - |q| - |x|
// x = 0 changes nothing.
enum class DenseSum { ip, intersection, l1 };
using DenseFn = void (*)(const DenseWord* words, int64_t n, int64_t n_panels, float* key);

struct Kernels {
  // Writes the positions i < n with key[i] <= limit, rising; gives their number. n is a multiple of 16 at most 65,536.
  int64_t (*scan)(const float* key, int64_t n, float limit, uint16_t* out);
  DenseFn ip, intersection, l1;
};

extern const Kernels kGeneric;
extern const Kernels kAvx2;    // x86-64 only
extern const Kernels kAvx512;  // x86-64 only

inline constexpr simd::Table<const Kernels*> kKernels{&kGeneric, CBIR_X86_ROWS(&kAvx2, &kAvx512, nullptr)};

}  // namespace cbir::inverted_file
