// The k best of every query, or all within a radius, filled by several threads at once, and what a kernel compares with
// while they fill.
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

#include "core/reservoir.h"

namespace cbir::flat {

class Collected {
 public:
  // Keys up to `radius` are kept, the k best of them; with k as large as the number of rows, all.
  Collected(int64_t nq, int64_t k, float radius = std::numeric_limits<float>::infinity())
      : best_(static_cast<size_t>(nq), Reservoir(k, radius)), worst_(new std::atomic<float>[nq]) {
    for (int64_t q = 0; q < nq; ++q) worst_[q] = radius;
  }

  // A key above this can't enter. It only falls, so an old value is safe.
  float worst(int64_t q) const { return worst_[q].load(std::memory_order_relaxed); }

  // Gives the new worst key.
  float push(int64_t q, float key, int64_t id) {
    std::lock_guard<std::mutex> lock(mutexes_[static_cast<size_t>(q) % mutexes_.size()]);
    Reservoir& best = best_[static_cast<size_t>(q)];
    if (key <= best.worst()) best.push(key, id);
    worst_[q].store(best.worst(), std::memory_order_relaxed);
    return best.worst();
  }

  // What was kept for a query, best first; once all threads are done.
  Reservoir& of(int64_t q) { return best_[static_cast<size_t>(q)]; }

 private:
  std::vector<Reservoir> best_;
  std::unique_ptr<std::atomic<float>[]> worst_;
  std::array<std::mutex, 64> mutexes_;
};

}  // namespace cbir::flat
