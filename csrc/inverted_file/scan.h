// What is done to a whole block of scores at once: adding a word that very many images have, and finding the scores that
// may enter the k best.
#pragma once

#include <cstdint>

namespace cbir {

// Writes the positions i < n with key[i] <= limit, rising; gives their number. n is a multiple of 16 at most 65,536.
using ScanFn = int64_t (*)(const float* key, int64_t n, float limit, uint16_t* out);

int64_t scan_generic(const float* key, int64_t n, float limit, uint16_t* out);
int64_t scan_avx2(const float* key, int64_t n, float limit, uint16_t* out);
int64_t scan_avx512(const float* key, int64_t n, float limit, uint16_t* out);

// For all i < n, n a multiple of 16, with the same roundings as a posting at a time; x[i] = 0 changes nothing:
//   ip             key[i] -= q x[i]
//   intersection   key[i] -= min(q, x[i])
//   l1             key[i] += |q - x[i]| - |q| - |x[i]|
enum class DenseSum { ip, intersection, l1 };
using DenseFn = void (*)(DenseSum sum, const float* x, int64_t n, float q, float* key);

void dense_avx2(DenseSum sum, const float* x, int64_t n, float q, float* key);
void dense_avx512(DenseSum sum, const float* x, int64_t n, float q, float* key);

}  // namespace cbir
