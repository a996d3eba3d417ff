// Which of the block's scores may enter the k best.
#pragma once

#include <cstdint>

namespace cbir {

// Writes the positions i < n with key[i] <= limit, rising; gives their number. n is a multiple of 16 at most 65,536.
using ScanFn = int64_t (*)(const float* key, int64_t n, float limit, uint16_t* out);

int64_t scan_generic(const float* key, int64_t n, float limit, uint16_t* out);
int64_t scan_avx2(const float* key, int64_t n, float limit, uint16_t* out);
int64_t scan_avx512(const float* key, int64_t n, float limit, uint16_t* out);

}  // namespace cbir
