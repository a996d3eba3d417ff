// The k best (key, id) pairs seen so far. Smaller keys are better (a similarity is negated by the caller), equal keys
// go to the smaller id: the order is total, so the answer does not depend on the order of arrival.
//
// A reservoir of about 1.5 k entries, cut back to k when it is full, moves far less memory than a heap, for a bound
// that falls a little later.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "core/matrix.h"

namespace cbir {

class Reservoir {
 public:
  using Entry = std::pair<float, int64_t>;

  // Keys up to `radius` are kept, the k best of them.
  explicit Reservoir(int64_t k, float radius = std::numeric_limits<float>::infinity())
      : k_(static_cast<size_t>(k)), worst_(radius) {}

  // A key above this can't enter; an equal one still may, by its id. It only falls.
  float worst() const { return worst_; }

  // `key` is not above worst(), nor NaN.
  void push(float key, int64_t id) {
    CBIR_DCHECK(key <= worst_);
    kept_.emplace_back(key, id);
    if (kept_.size() >= k_ + k_ / 2 + 8) {
      cut();
      worst_ = kept_.back().first;
    }
  }

  // The entries, best first; empties the reservoir.
  std::vector<Entry> take() {
    if (kept_.size() > k_) cut();
    std::sort(kept_.begin(), kept_.end());
    return std::move(kept_);
  }

  // Writes k keys and ids, best first, padded with infinity and -1, and empties the reservoir.
  void drain(float* keys, int64_t* ids) {
    const std::vector<Entry> best = take();
    for (size_t i = 0; i < k_; ++i) {
      keys[i] = i < best.size() ? best[i].first : std::numeric_limits<float>::infinity();
      ids[i] = i < best.size() ? best[i].second : -1;
    }
  }

 private:
  void cut() {
    std::nth_element(kept_.begin(), kept_.begin() + (k_ - 1), kept_.end());
    kept_.resize(k_);
  }

  size_t k_;
  float worst_;
  std::vector<Entry> kept_;
};

}  // namespace cbir
