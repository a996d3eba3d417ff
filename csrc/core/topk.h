// The k best (key, id) pairs seen so far. Smaller keys are better (a similarity is negated by the caller), equal keys
// go to the smaller id: the order is total, so the answer does not depend on the order of arrival.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace cbir {

class TopK {
 public:
  explicit TopK(int64_t k) : k_(k) { heap_.reserve(static_cast<size_t>(std::min<int64_t>(k, 1 << 16))); }

  // A key above this can't enter. Equal ones still may, by their id.
  float threshold() const { return full() ? heap_.front().first : std::numeric_limits<float>::infinity(); }
  bool full() const { return static_cast<int64_t>(heap_.size()) == k_; }
  int64_t size() const { return static_cast<int64_t>(heap_.size()); }

  void push(float key, int64_t id) {
    const std::pair<float, int64_t> entry(key, id);
    if (!full()) {
      heap_.push_back(entry);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (entry < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = entry;
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  // Writes k keys and ids, best first, padded with infinity and -1, and empties the heap.
  void drain(float* keys, int64_t* ids) {
    std::sort_heap(heap_.begin(), heap_.end());
    for (int64_t i = 0; i < k_; ++i) {
      const bool there = i < size();
      keys[i] = there ? heap_[i].first : std::numeric_limits<float>::infinity();
      ids[i] = there ? heap_[i].second : -1;
    }
    heap_.clear();
  }

 private:
  int64_t k_;
  std::vector<std::pair<float, int64_t>> heap_;  // max-heap: the worst of the k on top
};

}  // namespace cbir
