// splitmix64 (Steele, Lea, Flood, OOPSLA 2014): a counter-based generator, so that draw i of a seed can be made by any
// thread without the draws before it.
#pragma once

#include <cstdint>

namespace cbir {

inline uint64_t splitmix64(uint64_t seed, uint64_t counter) {
  uint64_t z = seed + (counter + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Uniform in [0, 1), 53 bits.
inline double uniform(uint64_t seed, uint64_t counter) {
  return static_cast<double>(splitmix64(seed, counter) >> 11) * 0x1.0p-53;
}

}  // namespace cbir
