// Views of row-major arrays that somebody else owns. A kernel takes pointers and sizes; everything above it takes
// these.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

// What the caller has promised. Looked at in the builds of tests/sanitize.py only; a broken promise ends the process.
#ifdef CBIR_DEBUG
#include <cstdio>
#include <cstdlib>
#define CBIR_DCHECK(condition) \
  ((condition) ? (void)0 : (std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), std::abort()))
#else
#define CBIR_DCHECK(condition) ((void)0)
#endif

namespace cbir {

// (rows, cols), row-major; row i begins at data + i * stride, so some columns of a wider matrix are a matrix too.
template <class T>
struct Matrix {
  T* data;
  int64_t rows;
  int64_t cols;
  int64_t stride;

  Matrix(T* data_, int64_t rows_, int64_t cols_) : Matrix(data_, rows_, cols_, cols_) {}
  Matrix(T* data_, int64_t rows_, int64_t cols_, int64_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {
    CBIR_DCHECK(rows >= 0 && cols >= 0 && stride >= cols);
  }

  // i == rows gives the end.
  T* row(int64_t i) const {
    CBIR_DCHECK(i >= 0 && i <= rows);
    return data + i * stride;
  }

  // Rows [first, first + n), columns [first, first + n).
  Matrix some_rows(int64_t first, int64_t n) const {
    CBIR_DCHECK(first >= 0 && n >= 0 && first + n <= rows);
    return {data + first * stride, n, cols, stride};
  }
  Matrix some_columns(int64_t first, int64_t n) const {
    CBIR_DCHECK(first >= 0 && n >= 0 && first + n <= cols);
    return {data + first, rows, n, stride};
  }
};

template <class T>
struct Span {
  T* data;
  int64_t size;

  T& operator[](int64_t i) const {
    CBIR_DCHECK(i >= 0 && i < size);
    return data[i];
  }
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
