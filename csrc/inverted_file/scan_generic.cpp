#include <algorithm>
#include <cmath>

#include "inverted_file/dense.h"

namespace cbir {

int64_t scan_generic(const float* key, int64_t n, float limit, uint16_t* out) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (key[i] <= limit) out[found++] = static_cast<uint16_t>(i);
  }
  return found;
}

void expand_generic(uint64_t mask, const float* weights, float* out) {
  std::fill(out, out + 64, 0.0f);
  for (; mask != 0; mask &= mask - 1) out[__builtin_ctzll(mask)] = *weights++;
}

void dense_word_generic(DenseSum sum, const uint64_t* masks, const float* weights, int64_t n_panels, float q,
                        float* key) {
  for (int64_t p = 0; p < n_panels; ++p, key += 64) {
    for (uint64_t m = masks[p]; m != 0; m &= m - 1) {
      float& sum_of = key[__builtin_ctzll(m)];
      const float x = *weights++;
      if (sum == DenseSum::ip) {
        sum_of -= q * x;
      } else if (sum == DenseSum::intersection) {
        sum_of -= x < q ? x : q;
      } else {
        sum_of += std::fabs(q - x) - std::fabs(q) - std::fabs(x);
      }
    }
  }
}

void dense_generic(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride) {
  typedef float Lanes __attribute__((vector_size(16), may_alias));
  dense_any<Lanes, 2>(sum, panel, words, key, stride);
}

}  // namespace cbir
