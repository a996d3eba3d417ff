// What is done to a whole block of scores at once: adding the words that very many images have, and finding the scores
// that may enter the k best.
#pragma once

#include <cstdint>

namespace cbir {

// Writes the positions i < n with key[i] <= limit, rising; gives their number. n is a multiple of 16 at most 65,536.
using ScanFn = int64_t (*)(const float* key, int64_t n, float limit, uint16_t* out);

int64_t scan_generic(const float* key, int64_t n, float limit, uint16_t* out);
int64_t scan_avx2(const float* key, int64_t n, float limit, uint16_t* out);
int64_t scan_avx512(const float* key, int64_t n, float limit, uint16_t* out);

// What a posting adds to a score, with q of the query and x of the row:
//   ip             key -= q x, rounded twice at every level
//   intersection   key -= min(q, x)
//   l1             key += |q - x| - |q| - |x|
// x = 0 changes nothing.
enum class DenseSum { ip, intersection, l1 };

// One dense word of a block and its weight in one query.
struct DenseWord {
  const uint64_t* masks;  // (n_panels,)
  const float* weights;   // of the rows whose bit is set; may be read 15 floats past the end
  float query_weight;
};

// Adds n dense words to the scores of one query, in their order: for row i of n_panels * 64 whose bit is set in a
// word's masks, key[i] and the next of its weights for x.
using DenseWordsFn = void (*)(DenseSum sum, const DenseWord* words, int64_t n, int64_t n_panels, float* key);

void dense_words_generic(DenseSum sum, const DenseWord* words, int64_t n, int64_t n_panels, float* key);
void dense_words_avx2(DenseSum sum, const DenseWord* words, int64_t n, int64_t n_panels, float* key);
void dense_words_avx512(DenseSum sum, const DenseWord* words, int64_t n, int64_t n_panels, float* key);

}  // namespace cbir
