// The k best of every query, filled by several threads at once, and what a kernel compares with while they fill.
//
// The order (key, id) is total and a kernel lets through every row that could enter, so the final k do not depend on
// which thread came first; only the number of rows that are scored in vain does.
#pragma once

#include <array>
#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "core/matrix.h"
#include "core/topk.h"
#include "flat/score.h"

namespace cbir {

class FlatHeaps {
 public:
  FlatHeaps(int64_t nq, int64_t k) : tops_(static_cast<size_t>(nq), TopK(k)), worst_(new std::atomic<float>[nq]) {
    for (int64_t q = 0; q < nq; ++q) worst_[q] = std::numeric_limits<float>::infinity();
  }

  // A key above this can't enter. It only falls, so an old value is safe.
  float worst(int64_t q) const { return worst_[q].load(std::memory_order_relaxed); }

  // Gives the new worst key.
  float push(int64_t q, float key, int64_t id) {
    std::lock_guard<std::mutex> lock(mutexes_[static_cast<size_t>(q) % mutexes_.size()]);
    tops_[q].push(key, id);
    worst_[q].store(tops_[q].threshold(), std::memory_order_relaxed);
    return tops_[q].threshold();
  }

  void drain(int64_t q, float* keys, int64_t* ids) { tops_[q].drain(keys, ids); }

 private:
  std::vector<TopK> tops_;
  std::unique_ptr<std::atomic<float>[]> worst_;
  std::array<std::mutex, 64> mutexes_;
};

}  // namespace cbir
