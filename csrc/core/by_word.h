// Rows in order of their words: a counting sort of their numbers, stable, so that what belongs to a word lies together
// and in the order of the rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/matrix.h"

namespace cbir {

class ByWord {
 public:
  // Entries behind a word's rows that may be read too, so that a kernel can ask the cache for rows ahead of their turn:
  // those of the next words, then the last row again.
  static constexpr int64_t kAhead = 8;

  // word_ids (n,) in [0, n_words), n < 2^31. A second call reuses the space of the first.
  void sort(const int32_t* word_ids, int64_t n, int64_t n_words) {
    starts_.assign(static_cast<size_t>(n_words + 2), 0);
    rows_.resize(static_cast<size_t>(n + kAhead));
    // Counted two places up, so that after the running sum starts_[w + 1] is where word w begins, and after all of them
    // are placed it is where word w ends.
    for (int64_t i = 0; i < n; ++i) {
      CBIR_DCHECK(word_ids[i] >= 0 && word_ids[i] < n_words);
      ++starts_[word_ids[i] + 2];
    }
    for (int64_t w = 2; w <= n_words + 1; ++w) starts_[w] += starts_[w - 1];
    for (int64_t i = 0; i < n; ++i) rows_[starts_[word_ids[i] + 1]++] = static_cast<int32_t>(i);
    std::fill(rows_.begin() + n, rows_.end(), n > 0 ? rows_[n - 1] : 0);
  }

  // How many rows word w has, and their numbers, rising.
  int64_t count(int64_t w) const { return starts_[w + 1] - starts_[w]; }
  const int32_t* rows(int64_t w) const { return rows_.data() + starts_[w]; }

 private:
  std::vector<int64_t> starts_;
  std::vector<int32_t> rows_;
};

}  // namespace cbir
