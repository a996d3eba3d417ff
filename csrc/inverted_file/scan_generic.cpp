#include "inverted_file/scan.h"

#include <cmath>

namespace cbir::inverted_file {
namespace {

int64_t scan(const float* key, int64_t n, float limit, uint16_t* out) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (key[i] <= limit) out[found++] = static_cast<uint16_t>(i);
  }
  return found;
}

template <DenseSum sum>
void add_dense_words(const DenseWord* words, int64_t n, int64_t n_panels, float* key) {
  for (const DenseWord* word = words; word < words + n; ++word) {
    const float *weights = word->weights, q = word->query_weight;
    for (int64_t p = 0; p < n_panels; ++p) {
      for (uint64_t m = word->masks[p]; m != 0; m &= m - 1) {
        float& sum_of = key[64 * p + __builtin_ctzll(m)];
        const float x = *weights++;
        if constexpr (sum == DenseSum::ip) {
          sum_of -= q * x;
        } else if constexpr (sum == DenseSum::intersection) {
          sum_of -= x < q ? x : q;
        } else {
          sum_of += std::fabs(q - x) - std::fabs(q) - std::fabs(x);
        }
      }
    }
  }
}

}  // namespace

const Kernels kGeneric{scan, add_dense_words<DenseSum::ip>, add_dense_words<DenseSum::intersection>,
                       add_dense_words<DenseSum::l1>};

}  // namespace cbir::inverted_file
