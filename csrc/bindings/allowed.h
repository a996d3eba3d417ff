// The rows that may answer, as Python hands them over: a bool mask, or rising positions, or neither.
#pragma once

#include <pybind11/stl.h>

#include <optional>

#include "bindings/arrays.h"
#include "core/allowed.h"

namespace cbir {

using OptionalMask = std::optional<Array<bool>>;
using OptionalPositions = std::optional<Array<int64_t>>;

inline Allowed allowed_of(const OptionalMask& mask, const OptionalPositions& positions, int64_t rows) {
  require(!(mask && positions), "mask and positions exclude each other");
  Allowed allowed;
  if (mask) {
    static_assert(sizeof(bool) == 1);
    require(mask->ndim() == 1 && mask->shape(0) == rows, "mask must have one entry per row");
    allowed.mask = reinterpret_cast<const uint8_t*>(mask->data());
  }
  if (positions) {
    const auto list = span(*positions, "positions");
    for (int64_t i = 0; i < list.size; ++i) {
      require(list[i] >= 0 && list[i] < rows && (i == 0 || list[i - 1] < list[i]),
              "positions must rise from 0 to the number of rows less 1");
    }
    allowed.positions = list;
  }
  return allowed;
}

// Positions to score, for all queries or for each its own: -1 is no row.
inline Matrix<const int64_t> pairs_of(const Array<int64_t>& positions, int64_t nq, int64_t rows) {
  const auto pairs = matrix(positions, "positions");
  require(pairs.rows == nq || pairs.rows == 1, "positions must have one row, or one per query");
  for (int64_t i = 0; i < pairs.rows * pairs.cols; ++i) {
    require(pairs.data[i] >= -1 && pairs.data[i] < rows, "positions must be -1 to the number of rows less 1");
  }
  return pairs;
}

// What a search within a radius found, as (lims, keys, ids) of NumPy.
template <class Hits>
py::tuple ranges_of(const std::vector<Hits>& found) {
  Array<int64_t> lims(static_cast<int64_t>(found.size()) + 1);
  int64_t* lim = lims.mutable_data();
  lim[0] = 0;
  for (size_t q = 0; q < found.size(); ++q) lim[q + 1] = lim[q] + static_cast<int64_t>(found[q].size());
  Array<float> keys(lim[found.size()]);
  Array<int64_t> ids(lim[found.size()]);
  float* key = keys.mutable_data();
  int64_t* id = ids.mutable_data();
  for (const auto& hits : found) {
    for (const auto& hit : hits) {
      *key++ = hit.first;
      *id++ = hit.second;
    }
  }
  return py::make_tuple(lims, keys, ids);
}

}  // namespace cbir
