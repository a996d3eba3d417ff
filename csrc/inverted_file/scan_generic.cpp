#include "inverted_file/scan.h"

namespace cbir {

int64_t scan_generic(const float* key, int64_t n, float limit, uint16_t* out) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (key[i] <= limit) out[found++] = static_cast<uint16_t>(i);
  }
  return found;
}

}  // namespace cbir
