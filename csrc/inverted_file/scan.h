// What is done to a whole block of scores at once: adding the words that very many images have, and finding the scores
// that may enter the k best.
#pragma once

#include <cstdint>

namespace cbir::inverted_file {

// Writes the positions i < n with key[i] <= limit, rising; gives their number. n is a multiple of 16 at most 65,536.
using ScanFn = int64_t (*)(const float* key, int64_t n, float limit, uint16_t* out);

int64_t scan_generic(const float* key, int64_t n, float limit, uint16_t* out);
int64_t scan_avx2(const float* key, int64_t n, float limit, uint16_t* out);
int64_t scan_avx512(const float* key, int64_t n, float limit, uint16_t* out);

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
struct DenseKernels {
  void (*ip)(const DenseWord* words, int64_t n, int64_t n_panels, float* key);
  void (*intersection)(const DenseWord* words, int64_t n, int64_t n_panels, float* key);
  void (*l1)(const DenseWord* words, int64_t n, int64_t n_panels, float* key);
};

extern const DenseKernels kDenseGeneric;
extern const DenseKernels kDenseAvx2;    // x86-64 only
extern const DenseKernels kDenseAvx512;  // x86-64 only

}  // namespace cbir::inverted_file
