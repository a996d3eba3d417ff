// Views of row-major arrays that somebody else owns. A kernel takes pointers and sizes; everything above it takes
// these.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#ifdef CBIR_DEBUG
#include <cassert>
#define CBIR_DCHECK(condition) assert(condition)
#else
#define CBIR_DCHECK(condition) ((void)0)
#endif

namespace cbir {

// (rows, cols), row-major, contiguous.
template <class T>
struct Matrix {
  T* data;
  int64_t rows;
  int64_t cols;

  T* row(int64_t i) const { return data + i * cols; }
};

template <class T>
struct Span {
  T* data;
  int64_t size;

  T& operator[](int64_t i) const { return data[i]; }
  T* begin() const { return data; }
  T* end() const { return data + size; }
};

// a * b for sizes; a product that wraps round would become a buffer that is too small.
inline int64_t checked_mul(int64_t a, int64_t b) {
  if (a < 0 || b < 0 || (b != 0 && a > std::numeric_limits<int64_t>::max() / b)) {
    throw std::length_error("cbir: size overflow: " + std::to_string(a) + " x " + std::to_string(b));
  }
  return a * b;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace cbir
