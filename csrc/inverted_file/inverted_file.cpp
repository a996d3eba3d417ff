#include "inverted_file/inverted_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>

#include "core/parallel.h"
#include "inverted_file/scan.h"
#include "simd/level.h"

namespace cbir {
namespace {

constexpr simd::Table<ScanFn> kScans{scan_generic,
#if defined(__x86_64__)
                                     scan_avx2, scan_avx512, nullptr
#else
                                     nullptr, nullptr, nullptr
#endif
};

constexpr simd::Table<DenseFn> kDense{nullptr,
#if defined(__x86_64__)
                                      dense_avx2, dense_avx512, nullptr
#else
                                      nullptr, nullptr, nullptr
#endif
};

constexpr int64_t kBlocksPerItem = 8;  // 65,536 images of one query are one item of work

struct Term {
  int32_t word;
  float weight;  // of the query
};

// Adds one word's postings to keys, which are negated similarities or distances. Images of a word are distinct, so the
// additions don't wait for each other.
template <SparseMetric metric>
inline void add_postings(const uint16_t* images, const float* weights, int64_t n, float q, float* key) {
  const float size = std::fabs(q);
#pragma GCC unroll 4
  for (int64_t i = 0; i < n; ++i) {
    const float x = weights[i];
    if constexpr (metric == SparseMetric::histogram_intersection) {
      key[images[i]] -= std::min(q, x);
    } else if constexpr (metric == SparseMetric::l1) {
      key[images[i]] += std::fabs(q - x) - size - std::fabs(x);
    } else {
      key[images[i]] -= q * x;
    }
  }
}

template <SparseMetric metric>
void score_block(const PostingBlock& block, const std::vector<Term>& terms, float start, DenseFn dense, float* key) {
  if (metric == SparseMetric::l1) {
    for (int64_t i = 0; i < PostingBlock::kRows; ++i) key[i] = start + block.start[i];
  } else {
    std::fill(key, key + PostingBlock::kRows, 0.0f);
  }
  constexpr size_t kAhead = 4;  // lists begin at random places: ask for them early
  for (size_t t = 0; t < terms.size(); ++t) {
    if (t + kAhead < terms.size()) {
      const uint32_t soon = block.offsets[terms[t + kAhead].word];
      __builtin_prefetch(block.images.data() + soon);
      __builtin_prefetch(block.weights.data() + soon);
    }
    const uint32_t from = block.offsets[terms[t].word], to = block.offsets[terms[t].word + 1];
    if (dense != nullptr && to - from >= PostingBlock::kDenseFrom) {
      constexpr DenseSum sum = metric == SparseMetric::l1                       ? DenseSum::l1
                               : metric == SparseMetric::histogram_intersection ? DenseSum::intersection
                                                                                : DenseSum::ip;
      dense(sum, block.dense_of(terms[t].word), PostingBlock::kRows, terms[t].weight, key);
      continue;
    }
    add_postings<metric>(block.images.data() + from, block.weights.data() + from, to - from, terms[t].weight, key);
  }
}

void score(SparseMetric metric, const PostingBlock& block, const std::vector<Term>& terms, float start, DenseFn dense,
           float* key) {
  switch (metric) {
    case SparseMetric::histogram_intersection:
      return score_block<SparseMetric::histogram_intersection>(block, terms, start, dense, key);
    case SparseMetric::l1:
      return score_block<SparseMetric::l1>(block, terms, start, dense, key);
    default:
      return score_block<SparseMetric::ip>(block, terms, start, dense, key);
  }
}

// The query's words; `start` becomes what a row without common words begins with.
std::vector<Term> terms_of(SparseMetric metric, const SparseRows& queries, int64_t q, float* start) {
  const int64_t from = queries.offsets[q], to = queries.offsets[q + 1];
  double squares = 0, sizes = 0;
  for (int64_t i = from; i < to; ++i) {
    squares += static_cast<double>(queries.weights[i]) * queries.weights[i];
    sizes += std::fabs(queries.weights[i]);
  }
  const double factor = metric == SparseMetric::cosine && squares > 0 ? 1 / std::sqrt(squares) : 1;
  *start = metric == SparseMetric::l1 ? static_cast<float>(sizes) : 0.0f;
  std::vector<Term> terms;
  terms.reserve(static_cast<size_t>(to - from));
  for (int64_t i = from; i < to; ++i) {
    if (queries.weights[i] == 0) continue;  // adds nothing under any metric
    terms.push_back({queries.word_ids[i], static_cast<float>(factor * queries.weights[i])});
  }
  return terms;
}

struct Hit {
  float key;
  int64_t id, row;
  bool operator<(const Hit& other) const { return key < other.key || (key == other.key && id < other.id); }
};

// The k best rows of one query by their running score, filled by the threads that work on it.
class QueryTop {
 public:
  void reset(int64_t k, int64_t items) {
    k_ = static_cast<size_t>(k);
    items_left_ = items;
  }

  float limit() {
    std::lock_guard<std::mutex> lock(mutex_);
    return heap_.size() < k_ ? std::numeric_limits<float>::infinity() : heap_.front().key;
  }

  void offer(const float* key, const uint16_t* at, int64_t n, int64_t first_row, const int64_t* ids) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t row = first_row + at[i];
      const Hit hit{key[at[i]], ids[row], row};
      if (heap_.size() == k_) {
        if (!(hit < heap_.front())) continue;
        std::pop_heap(heap_.begin(), heap_.end());
        heap_.pop_back();
      }
      heap_.push_back(hit);
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  // True for the caller that did the query's last piece of work.
  bool last() {
    std::lock_guard<std::mutex> lock(mutex_);
    return --items_left_ == 0;
  }

  std::vector<Hit> take() { return std::move(heap_); }

 private:
  std::mutex mutex_;
  size_t k_ = 0;
  int64_t items_left_ = 0;
  std::vector<Hit> heap_;  // max-heap: the worst of the k on top
};

// The running scores carry the rounding of their many additions; what is returned is scored again and sorted by that.
void finish(SparseMetric metric, const SparseRows& all, const SparseRows& queries, int64_t q, std::vector<Hit> best,
            int64_t k, float* keys, int64_t* hits) {
  const int64_t from = queries.offsets[q], n = queries.offsets[q + 1] - from;
  for (Hit& hit : best) {
    const int64_t begin = all.offsets[hit.row];
    hit.key = static_cast<float>(sparse_key(metric, all.word_ids + begin, all.weights + begin,
                                            all.offsets[hit.row + 1] - begin, queries.word_ids + from,
                                            queries.weights + from, n));
  }
  std::sort(best.begin(), best.end());
  for (int64_t i = 0; i < k; ++i) {
    const bool there = i < static_cast<int64_t>(best.size());
    keys[i] = there ? best[i].key : std::numeric_limits<float>::infinity();
    hits[i] = there ? best[i].id : -1;
  }
}

}  // namespace

double sparse_key(SparseMetric metric, const int32_t* xw, const float* x, int64_t nx, const int32_t* qw, const float* q,
                  int64_t nq) {
  double shared = 0, x_side = 0, q_side = 0;
  auto side = [&](float v) {
    return metric == SparseMetric::cosine ? static_cast<double>(v) * v
                                          : metric == SparseMetric::l1 ? std::fabs(static_cast<double>(v)) : 0.0;
  };
  int64_t i = 0, j = 0;
  while (i < nx && j < nq) {
    if (xw[i] < qw[j]) {
      x_side += side(x[i++]);
    } else if (xw[i] > qw[j]) {
      q_side += side(q[j++]);
    } else {
      const double a = x[i++], b = q[j++];
      if (metric == SparseMetric::histogram_intersection) {
        shared += std::min(a, b);
      } else if (metric == SparseMetric::l1) {
        shared += std::fabs(a - b);
      } else {
        shared += a * b;
        x_side += a * a;
        q_side += b * b;
      }
    }
  }
  while (i < nx) x_side += side(x[i++]);
  while (j < nq) q_side += side(q[j++]);
  if (metric == SparseMetric::l1) return shared + x_side + q_side;
  if (metric != SparseMetric::cosine) return -shared;
  return x_side > 0 && q_side > 0 ? -shared / std::sqrt(x_side * q_side) : 0.0;
}

void InvertedFile::search(const SparseRows& all, Span<const int64_t> ids, const SparseRows& queries, int64_t k,
                          int n_threads, float* keys, int64_t* hits) const {
  const ScanFn scan = simd::pick(kScans);
  const DenseFn dense = simd::pick(kDense);
  const int64_t n_blocks = static_cast<int64_t>(blocks_.size()), per_query = ceil_div(n_blocks, kBlocksPerItem);
  std::vector<QueryTop> tops(static_cast<size_t>(queries.rows));
  for (auto& top : tops) top.reset(k, per_query);
  const int workers = resolve_threads(n_threads);
  AlignedBuffer<float> keys_of(checked_mul(workers, PostingBlock::kRows));
  AlignedBuffer<uint16_t> passed_of(checked_mul(workers, PostingBlock::kRows));

  parallel_for(checked_mul(queries.rows, per_query), workers, [&](int64_t item, int thread) {
    const int64_t q = item / per_query, begin = item % per_query * kBlocksPerItem;
    float* key = keys_of.data() + thread * PostingBlock::kRows;
    uint16_t* passed = passed_of.data() + thread * PostingBlock::kRows;
    float start;
    const std::vector<Term> terms = terms_of(metric_, queries, q, &start);
    for (int64_t b = begin; b < std::min(n_blocks, begin + kBlocksPerItem); ++b) {
      const PostingBlock& block = *blocks_[b];
      score(metric_, block, terms, start, dense, key);
      std::fill(key + block.rows, key + PostingBlock::kRows, std::numeric_limits<float>::quiet_NaN());
      const int64_t n = scan(key, PostingBlock::kRows, tops[q].limit(), passed);
      if (n > 0) tops[q].offer(key, passed, n, b * PostingBlock::kRows, ids.data);
    }
    if (tops[q].last()) finish(metric_, all, queries, q, tops[q].take(), k, keys + q * k, hits + q * k);
  });
}

}  // namespace cbir
