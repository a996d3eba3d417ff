// The rows that may belong to the answer of one query, filled by the threads that work on it.
//
// A row is known by its running score, and that to within an error: its exact key lies between `lower` and `upper`. The
// k-th smallest `upper` is at least the exact k-th key, so a row whose `lower` is above it can't be among the k best;
// every other row is kept, and the exact keys decide at the end. Rows that tie exactly are thus all kept.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

namespace cbir::inverted_file {

struct Candidate {
  float lower, upper;
  int64_t row;
};

class Candidates {
 public:
  // The k best with keys up to `radius`.
  void reset(int64_t k, float radius) {
    k_ = static_cast<size_t>(k);
    room_ = k_ + k_ / 2 + 8;
    limit_.store(radius, std::memory_order_relaxed);
  }

  // A row whose key is above this by more than its error can't enter. It only falls, so an old value is safe.
  float limit() const { return limit_.load(std::memory_order_relaxed); }

  // What a running score may be at most, if it is known to within `error`, for the row to enter.
  float bound(double error) const { return up(limit() + error); }

  // Adds the rows first + at[i] that may answer, with running scores key[at[i]] known to within `error`.
  void offer(const float* key, const uint16_t* at, int64_t n, double error, int64_t first, const uint8_t* mask) {
    std::lock_guard<std::mutex> lock(mutex_);
    float highest = bound(error);
    for (int64_t i = 0; i < n; ++i) {
      const float k = key[at[i]];
      const int64_t row = first + at[i];
      if (k > highest || (mask != nullptr && !mask[row])) continue;
      if (add({down(k - error), up(k + error), row})) highest = bound(error);
    }
  }

  void offer(float key, int64_t row) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (key <= limit()) add({key, key, row});
  }

  // All that may belong to the answer, in no order.
  std::vector<Candidate> take() {
    if (kept_.size() > k_) cut();
    return std::move(kept_);
  }

 private:
  // Gives whether the limit may have fallen.
  bool add(const Candidate& candidate) {
    kept_.push_back(candidate);
    if (kept_.size() < room_) return false;
    cut();
    room_ = std::max(room_, 2 * kept_.size());  // many within the error: don't sort them through again and again
    return true;
  }

  void cut() {
    std::nth_element(kept_.begin(), kept_.begin() + (k_ - 1), kept_.end(),
                     [](const Candidate& a, const Candidate& b) { return a.upper < b.upper; });
    const float limit = std::min(kept_[k_ - 1].upper, limit_.load(std::memory_order_relaxed));
    limit_.store(limit, std::memory_order_relaxed);
    kept_.erase(std::remove_if(kept_.begin(), kept_.end(), [&](const Candidate& c) { return c.lower > limit; }),
                kept_.end());
  }

  static float up(double v) {
    const float f = static_cast<float>(v);
    return f < v ? std::nextafter(f, std::numeric_limits<float>::infinity()) : f;
  }
  static float down(double v) { return -up(-v); }

  std::mutex mutex_;
  std::atomic<float> limit_{std::numeric_limits<float>::infinity()};
  size_t k_ = 0, room_ = 0;
  std::vector<Candidate> kept_;
};

}  // namespace cbir::inverted_file
