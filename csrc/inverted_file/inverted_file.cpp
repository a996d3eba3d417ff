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

constexpr simd::Table<const DenseKernels*> kDense{&kDenseGeneric,
#if defined(__x86_64__)
                                                  &kDenseAvx2, &kDenseAvx512, nullptr
#else
                                                  nullptr, nullptr, nullptr
#endif
};

constexpr int64_t kGroup = 32;  // one block and so many queries are one item of work

struct Term {
  int32_t word;
  float weight;  // of the query
};

struct Query {
  std::vector<Term> terms;
  float start;  // the key of an empty row
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
void add_words(const PostingBlock& block, const std::vector<Term>& terms, float* key) {
  // Lists begin at random places: ask early for where they are, then for their first postings.
  constexpr size_t kPlaceAhead = 16, kAhead = 4;
  constexpr uint32_t kFetched = 256;
  for (size_t t = 0; t < std::min(kPlaceAhead, terms.size()); ++t) __builtin_prefetch(&block.offsets[terms[t].word]);
  for (size_t t = 0; t < terms.size(); ++t) {
    if (t + kPlaceAhead < terms.size()) __builtin_prefetch(&block.offsets[terms[t + kPlaceAhead].word]);
    if (t + kAhead < terms.size()) {
      const uint32_t soon = block.offsets[terms[t + kAhead].word], end = block.offsets[terms[t + kAhead].word + 1];
      for (uint32_t i = soon; i < std::min(end, soon + kFetched); i += 16) {
        __builtin_prefetch(block.weights.data() + i);
        if (i % 32 < 16) __builtin_prefetch(block.images.data() + i);
      }
    }
    const uint32_t from = block.offsets[terms[t].word], to = block.offsets[terms[t].word + 1];
    add_postings<metric>(block.images.data() + from, block.weights.data() + from, to - from, terms[t].weight, key);
  }
}

void add_words(SparseMetric metric, const PostingBlock& block, const std::vector<Term>& terms, float* key) {
  switch (metric) {
    case SparseMetric::histogram_intersection:
      return add_words<SparseMetric::histogram_intersection>(block, terms, key);
    case SparseMetric::l1:
      return add_words<SparseMetric::l1>(block, terms, key);
    default:
      return add_words<SparseMetric::ip>(block, terms, key);
  }
}

void start_keys(const PostingBlock& block, float start, float* key) {
  std::fill(key, key + PostingBlock::kRows, start);
  for (size_t i = 0; i < block.start.size(); ++i) key[i] += block.start[i];
}

void add_dense_words(SparseMetric metric, const PostingBlock& block, const std::vector<Term>& terms, float* key) {
  const DenseKernels& dense = *simd::pick(kDense);
  const auto add = metric == SparseMetric::l1                       ? dense.l1
                   : metric == SparseMetric::histogram_intersection ? dense.intersection
                                                                    : dense.ip;
  std::vector<DenseWord> words;
  size_t place = 0;
  for (const Term& term : terms) {
    while (place < block.dense_words.size() && block.dense_words[place] < term.word) ++place;
    if (place == block.dense_words.size()) break;
    if (block.dense_words[place] != term.word) continue;
    const int64_t at = static_cast<int64_t>(place) * block.panels();
    words.push_back({block.masks.data() + at, block.dense.data() + block.begins[place], term.weight});
  }
  add(words.data(), static_cast<int64_t>(words.size()), block.panels(), key);
}

Query query_of(SparseMetric metric, const SparseRows& queries, int64_t q) {
  const int64_t from = queries.offsets[q], to = queries.offsets[q + 1];
  double squares = 0, sizes = 0;
  for (int64_t i = from; i < to; ++i) {
    squares += static_cast<double>(queries.weights[i]) * queries.weights[i];
    sizes += std::fabs(queries.weights[i]);
  }
  const double factor = metric == SparseMetric::cosine && squares > 0 ? 1 / std::sqrt(squares) : 1;
  Query query{{}, metric == SparseMetric::l1 ? static_cast<float>(sizes) : 0.0f};
  query.terms.reserve(static_cast<size_t>(to - from));
  for (int64_t i = from; i < to; ++i) {
    if (queries.weights[i] == 0) continue;  // adds nothing under any metric
    query.terms.push_back({queries.word_ids[i], static_cast<float>(factor * queries.weights[i])});
  }
  return query;
}

struct Hit {
  float key;
  int64_t id, row;
  bool operator<(const Hit& other) const { return key < other.key || (key == other.key && id < other.id); }
};

// The k best rows of one query by their running score, filled by the threads that work on it.
class QueryTop {
 public:
  void reset(int64_t k) { k_ = static_cast<size_t>(k); }

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

  std::vector<Hit> take() { return std::move(heap_); }

 private:
  std::mutex mutex_;
  size_t k_ = 0;
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
           : metric == SparseMetric::l1   ? std::fabs(static_cast<double>(v))
                                          : 0.0;
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
  const int64_t n_blocks = static_cast<int64_t>(blocks_.size()), n_groups = ceil_div(queries.rows, kGroup);
  std::vector<QueryTop> tops(static_cast<size_t>(queries.rows));
  for (auto& top : tops) top.reset(k);
  const int workers = resolve_threads(n_threads);
  AlignedBuffer<float> key_of(checked_mul(workers, PostingBlock::kRows));
  AlignedBuffer<uint16_t> passed_of(checked_mul(workers, PostingBlock::kRows));

  parallel_for(checked_mul(n_blocks, n_groups), workers, [&](int64_t item, int thread) {
    const int64_t b = item / n_groups, g = item % n_groups;  // all groups take a block before the next block
    const PostingBlock& block = *blocks_[b];
    float* key = key_of.data() + thread * PostingBlock::kRows;
    uint16_t* passed = passed_of.data() + thread * PostingBlock::kRows;
    for (int64_t q = queries.rows * g / n_groups; q < queries.rows * (g + 1) / n_groups; ++q) {
      const Query query = query_of(metric_, queries, q);
      start_keys(block, query.start, key);
      add_dense_words(metric_, block, query.terms, key);
      add_words(metric_, block, query.terms, key);
      std::fill(key + block.rows, key + PostingBlock::kRows, std::numeric_limits<float>::quiet_NaN());
      const int64_t n = scan(key, PostingBlock::kRows, tops[q].limit(), passed);
      if (n > 0) tops[q].offer(key, passed, n, b * PostingBlock::kRows, ids.data);
    }
  });
  parallel_for(queries.rows, workers, [&](int64_t q, int) {
    finish(metric_, all, queries, q, tops[q].take(), k, keys + q * k, hits + q * k);
  });
}

}  // namespace cbir
