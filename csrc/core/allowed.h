// Which rows of an index may answer a search: all of them, those whose byte in a mask is not 0, or those of a list.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/matrix.h"

namespace cbir {

struct Allowed {
  const uint8_t* mask = nullptr;               // (rows,), or none
  Span<const int64_t> positions{nullptr, -1};  // rising, or none: size -1

  bool listed() const { return positions.size >= 0; }

  // How many rows, or places of the list, a search walks over.
  int64_t places(int64_t rows) const { return listed() ? positions.size : rows; }

  // Calls f(first row, n) for runs of at most `longest` neighbouring rows that may answer, among the places [begin,
  // end).
  template <class F>
  void for_runs(int64_t begin, int64_t end, int64_t longest, F f) const {
    for (int64_t i = begin; i < end;) {
      const int64_t first = listed() ? positions[i] : i, most = std::min(longest, end - i);
      int64_t n = mask != nullptr || listed() ? 0 : most;
      if (mask != nullptr) {
        while (n < most && mask[i + n]) ++n;
      } else if (listed()) {
        while (n < most && positions[i + n] == first + n) ++n;
      }
      if (n > 0) f(first, n);
      i += std::max<int64_t>(n, 1);
    }
  }
};

}  // namespace cbir
