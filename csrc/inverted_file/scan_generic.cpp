#include "inverted_file/dense.h"

namespace cbir {

int64_t scan_generic(const float* key, int64_t n, float limit, uint16_t* out) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (key[i] <= limit) out[found++] = static_cast<uint16_t>(i);
  }
  return found;
}

void dense_generic(DenseSum sum, const float* panel, const DenseWords& words, float* key, int64_t stride) {
  typedef float Lanes __attribute__((vector_size(16), may_alias));
  dense_any<Lanes, 2>(sum, panel, words, key, stride);
}

}  // namespace cbir
