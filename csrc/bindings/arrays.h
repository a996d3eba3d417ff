// NumPy arrays as the kernels' views. Bindings take exact arrays only: py::array_t<T, py::array::c_style> together with
// py::arg("x").noconvert() refuses another dtype, stride or order instead of copying in silence.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

#include "core/matrix.h"

namespace cbir {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T>
Matrix<const T> matrix(const Array<T>& a, const char* name) {
  if (a.ndim() != 2) {
    throw std::invalid_argument(std::string(name) + " must have 2 axes, has " + std::to_string(a.ndim()));
  }
  return {a.data(), a.shape(0), a.shape(1)};
}

template <class T>
Span<const T> span(const Array<T>& a, const char* name) {
  if (a.ndim() != 1) {
    throw std::invalid_argument(std::string(name) + " must have 1 axis, has " + std::to_string(a.ndim()));
  }
  return {a.data(), a.shape(0)};
}

// Columns [first, first + n) of `whole`: a sub-vector of each row.
inline Matrix<const float> columns(Matrix<const float> whole, int64_t first, int64_t n) {
  if (first < 0 || n > whole.cols || first > whole.cols - n) {
    throw std::invalid_argument("columns " + std::to_string(first) + " to " + std::to_string(first + n) +
                                " are not all in x, which has " + std::to_string(whole.cols));
  }
  return whole.some_columns(first, n);
}

// For `out` arguments, the only ones that are written to.
template <class T>
Matrix<T> mutable_matrix(Array<T>& a, const char* name) {
  if (a.ndim() != 2) throw std::invalid_argument(std::string(name) + " must have 2 axes");
  return {a.mutable_data(), a.shape(0), a.shape(1)};
}

template <class T>
Span<T> mutable_span(Array<T>& a, const char* name) {
  if (a.ndim() != 1) throw std::invalid_argument(std::string(name) + " must have 1 axis");
  return {a.mutable_data(), a.shape(0)};
}

inline void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

}  // namespace cbir
