// Whether all of n floats are numbers: neither NaN nor infinity.
#pragma once

#include <cstdint>
#include <cstring>

namespace cbir {

// In blocks, so that the inner loop has no way out and becomes vector instructions.
inline bool all_finite(const float* x, int64_t n) {
  constexpr int64_t kBlock = 1024;
  constexpr uint32_t kExponent = 0x7f800000;
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t end = i + kBlock < n ? i + kBlock : n;
    uint32_t bad = 0;
    for (int64_t j = i; j < end; ++j) {
      uint32_t bits;
      std::memcpy(&bits, x + j, sizeof bits);
      bad |= (bits & kExponent) == kExponent;
    }
    if (bad) return false;
  }
  return true;
}

}  // namespace cbir
