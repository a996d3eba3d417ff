// The k best of every query, or all within a radius, filled by several threads at once, and what a kernel compares with
// while they fill.
//
// The order (key, id) is total and a kernel lets through every row that could enter, so the final k do not depend on
// which thread came first; only the number of rows that are scored in vain does.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/matrix.h"
#include "flat/score.h"

namespace cbir {

class FlatHeaps {
 public:
  // Keys up to `radius` are kept, the k best of them; with k as large as the number of rows, all.
  FlatHeaps(int64_t nq, int64_t k, float radius = std::numeric_limits<float>::infinity())
      : k_(static_cast<size_t>(k)), kept_(static_cast<size_t>(nq)), worst_(new std::atomic<float>[nq]) {
    for (int64_t q = 0; q < nq; ++q) worst_[q] = radius;
  }

  // A key above this can't enter. It only falls, so an old value is safe.
  float worst(int64_t q) const { return worst_[q].load(std::memory_order_relaxed); }

  // Gives the new worst key. A reservoir of 1.5 k entries, cut back to k when it is full, moves far less memory than a
  // heap, for a bound that falls a little later.
  float push(int64_t q, float key, int64_t id) {
    std::lock_guard<std::mutex> lock(mutexes_[static_cast<size_t>(q) % mutexes_.size()]);
    auto& kept = kept_[q];
    kept.emplace_back(key, id);
    if (kept.size() >= k_ + k_ / 2 + 8) {
      std::nth_element(kept.begin(), kept.begin() + (k_ - 1), kept.end());
      kept.resize(k_);
      worst_[q].store(kept.back().first, std::memory_order_relaxed);
    }
    return worst_[q].load(std::memory_order_relaxed);
  }

  // The keys and ids that were kept for a query, best first.
  std::vector<std::pair<float, int64_t>> take(int64_t q) {
    std::sort(kept_[q].begin(), kept_[q].end());
    return std::move(kept_[q]);
  }

  // Writes k keys and ids, best first, padded with infinity and -1.
  void drain(int64_t q, float* keys, int64_t* ids) {
    const auto kept = take(q);
    for (size_t i = 0; i < k_; ++i) {
      keys[i] = i < kept.size() ? kept[i].first : std::numeric_limits<float>::infinity();
      ids[i] = i < kept.size() ? kept[i].second : -1;
    }
  }

 private:
  size_t k_;
  std::vector<std::vector<std::pair<float, int64_t>>> kept_;
  std::unique_ptr<std::atomic<float>[]> worst_;
  std::array<std::mutex, 64> mutexes_;
};

}  // namespace cbir
