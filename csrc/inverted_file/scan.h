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

// Writes the weights of one dense word for the 64 rows of a panel: out[i] = the next of `weights` where bit i of `mask`
// is set, otherwise 0. May read 15 floats more than there are.
using ExpandFn = void (*)(uint64_t mask, const float* weights, float* out);

void expand_generic(uint64_t mask, const float* weights, float* out);
void expand_avx512(uint64_t mask, const float* weights, float* out);

// Adds dense words to the scores of a few queries for the 64 rows of one panel; see dense.h. For query r < n_queries (1
// to kDenseQueries), word j < n and row i < 64, in the order of j, with x = panel[at[j]][i] and q = weights[j][r]:
//   ip             key[r][i] -= q x
//   intersection   key[r][i] -= min(q, x)
//   l1             key[r][i] += |q - x| - |q| - |x|
// Two roundings for ip, at every level. q = 0 and x = 0 change nothing. Rows of key are `stride` apart; panel and key
// are aligned to 64 bytes.
enum class DenseSum { ip, intersection, l1 };
constexpr int kDenseQueries = 6;
struct DenseWords {
  const int32_t* at;     // (n,), rows of the panel
  const float* weights;  // (n, n_queries)
  int64_t n;
  int n_queries;
};

// Adds one dense word to the scores of one query, with the same roundings: for row i of n_panels * 64 whose bit is set
// in `masks`, key[i] and the next of `weights` (which may be read 15 floats past the end) for x.
using DenseWordFn = void (*)(DenseSum sum, const uint64_t* masks, const float* weights, int64_t n_panels, float q,
                             float* key);

void dense_word_generic(DenseSum sum, const uint64_t* masks, const float* weights, int64_t n_panels, float q,
                        float* key);
void dense_word_avx512(DenseSum sum, const uint64_t* masks, const float* weights, int64_t n_panels, float q,
                       float* key);

using DenseFn = void (*)(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride);

void dense_generic(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride);
void dense_avx2(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride);
void dense_avx512(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride);

}  // namespace cbir
