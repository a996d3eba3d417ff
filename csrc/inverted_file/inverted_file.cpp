#include "inverted_file/inverted_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/aligned.h"
#include "core/parallel.h"
#include "inverted_file/candidates.h"
#include "inverted_file/scan.h"
#include "simd/level.h"

namespace cbir::inverted_file {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr int64_t kGroup = 32;   // one block and so many queries are one item of work
constexpr int64_t kPairs = 256;  // pairs of row and query that are scored one by one in an item of work

// An image of a posting has 16 bits, and an altered file may use them all: so long are the running scores of a block.
constexpr int64_t kKeys = 65536;

struct Term {
  int32_t word;
  float weight;  // of the query
};

struct Query {
  std::vector<Term> terms;
  double length = 0, sum = 0;  // |q| and |q|_1
};

// Bound of the error of a running score against the exact key of the same row, for any row of the block.
//
// With n shared words: n additions whose partial results are at most S, and a few roundings of each term, which are at
// most S together (Higham, Accuracy and Stability, 3.1), where
//
//   ip  S = |q||x|     cosine  S = 1     histogram_intersection  S = min(|q|_1, |x|_1)     l1  S = |q|_1 + |x|_1
//
// so (n + 8) u S with u = 2^-24; twice that, for the second-order terms, and a denormal for each underflow. It stays
// finite, so that its sum with a score of an altered file is no NaN.
double error_of(Metric metric, const Query& query, const Block& block) {
  const double n = static_cast<double>(std::min<int64_t>(static_cast<int64_t>(query.terms.size()), block.longest)) + 8;
  constexpr double kAnything = 1e37;  // scores are at most 1e36
  if (n > 0x1p20) return kAnything;
  double size = 1.001;
  if (metric == Metric::ip) size = query.length * block.largest;
  if (metric == Metric::histogram_intersection) size = std::min(query.sum, block.largest);
  if (metric == Metric::l1) size = query.sum + block.largest;
  return std::min(2 * n * 0x1p-24 * size + n * 0x1p-147, kAnything);
}

// Adds one word's postings to keys, which are negated similarities or distances. Images of a word are distinct, so the
// additions don't wait for each other.
template <Metric metric>
inline void add_postings(const uint16_t* images, const float* weights, int64_t n, float q, float* key) {
  const float size = std::fabs(q);
#pragma GCC unroll 4
  for (int64_t i = 0; i < n; ++i) {
    const float x = weights[i];
    if constexpr (metric == Metric::histogram_intersection) {
      key[images[i]] -= std::min(q, x);
    } else if constexpr (metric == Metric::l1) {
      key[images[i]] += std::fabs(q - x) - size - std::fabs(x);
    } else {
      key[images[i]] -= q * x;
    }
  }
}

template <Metric metric>
void add_words(const Block& block, const std::vector<Term>& terms, float* key) {
  // Lists begin at random places: ask early for where they are, then for their first postings.
  constexpr size_t kPlaceAhead = 16, kAhead = 4;
  constexpr uint32_t kFetched = 256;
  for (size_t t = 0; t < std::min(kPlaceAhead, terms.size()); ++t) __builtin_prefetch(&block.offsets[terms[t].word]);
  for (size_t t = 0; t < terms.size(); ++t) {
    if (t + kPlaceAhead < terms.size()) __builtin_prefetch(&block.offsets[terms[t + kPlaceAhead].word]);
    if (t + kAhead < terms.size()) {
      const uint32_t soon = block.offsets[terms[t + kAhead].word], end = block.offsets[terms[t + kAhead].word + 1];
      for (uint32_t i = soon; i < std::min(end, soon + kFetched); i += 16) {
        __builtin_prefetch(block.weights + i);
        if (i % 32 < 16) __builtin_prefetch(block.images.data + i);
      }
    }
    const uint32_t from = block.offsets[terms[t].word], to = block.offsets[terms[t].word + 1];
    if (from > to || to > block.images.size) continue;  // an altered file
    add_postings<metric>(block.images.data + from, block.weights + from, to - from, terms[t].weight, key);
  }
}

void add_words(Metric metric, const Block& block, const std::vector<Term>& terms, float* key) {
  switch (metric) {
    case Metric::histogram_intersection:
      return add_words<Metric::histogram_intersection>(block, terms, key);
    case Metric::l1:
      return add_words<Metric::l1>(block, terms, key);
    default:
      return add_words<Metric::ip>(block, terms, key);
  }
}

void start_keys(Metric metric, const Block& block, const Query& query, float* key) {
  std::fill(key, key + Block::kRows, metric == Metric::l1 ? static_cast<float>(query.sum) : 0.0f);
  for (int64_t i = 0; i < block.sums.size; ++i) key[i] += block.sums[i];
}

void add_dense_words(DenseFn add, const Block& block, const std::vector<Term>& terms, float* key) {
  std::vector<DenseWord> words;
  int64_t place = 0;
  for (const Term& term : terms) {
    while (place < block.dense_words.size && block.dense_words[place] < term.word) ++place;
    if (place == block.dense_words.size) break;
    if (block.dense_words[place] != term.word) continue;
    if (block.begins[place] > block.dense.size) continue;  // an altered file
    words.push_back({block.masks + place * block.panels(), block.dense.data + block.begins[place], term.weight});
  }
  add(words.data(), static_cast<int64_t>(words.size()), block.panels(), key);
}

Query query_of(Metric metric, const Entries& entries) {
  Query query;
  double squares = 0;
  for (int64_t i = 0; i < entries.n; ++i) {
    squares += static_cast<double>(entries.weights[i]) * entries.weights[i];
    query.sum += std::fabs(static_cast<double>(entries.weights[i]));
  }
  query.length = std::sqrt(squares);
  const double factor = metric == Metric::cosine && squares > 0 ? 1 / query.length : 1;
  query.terms.reserve(static_cast<size_t>(entries.n));
  for (int64_t i = 0; i < entries.n; ++i) {
    if (entries.weights[i] == 0) continue;  // adds nothing under any metric
    query.terms.push_back({entries.words[i], static_cast<float>(factor * entries.weights[i])});
  }
  return query;
}

float rounded_key(Metric metric, const Entries& row, const Entries& query) {
  const float key = static_cast<float>(exact_key(metric, row, query));
  return key == key ? key : kInfinity;  // NaN comes from altered files only, and has no place in an order
}

// What the threads of one search share.
struct Search {
  Metric metric;
  const Base& base;
  const Rows& queries;
  std::vector<Candidates> candidates;
  const Kernels& kernels = *simd::pick(kKernels);
  const DenseFn add_dense = metric == Metric::l1                       ? kernels.l1
                            : metric == Metric::histogram_intersection ? kernels.intersection
                                                                       : kernels.ip;

  // Scores the rows of a block for the queries [first, last).
  void walk_block(const Block& block, int64_t first_row, int64_t first, int64_t last, float* key, uint16_t* passed) {
    const uint8_t* mask = base.allowed.mask;
    if (mask != nullptr &&
        std::all_of(mask + first_row, mask + first_row + block.rows, [](uint8_t m) { return m == 0; })) {
      return;
    }
    for (int64_t q = first; q < last; ++q) {
      const Query query = query_of(metric, queries[q]);
      start_keys(metric, block, query, key);
      add_dense_words(add_dense, block, query.terms, key);
      add_words(metric, block, query.terms, key);
      std::fill(key + block.rows, key + Block::kRows, std::numeric_limits<float>::quiet_NaN());
      const double error = error_of(metric, query, block);
      const int64_t n = kernels.scan(key, Block::kRows, candidates[q].bound(error), passed);
      if (n > 0) candidates[q].offer(key, passed, n, error, first_row, mask);
    }
  }

  // Scores places [begin, end) one by one, exactly.
  void walk_rows(int64_t begin, int64_t end, int64_t q) {
    base.allowed.for_runs(begin, end, end - begin, [&](int64_t first, int64_t n) {
      for (int64_t row = first; row < first + n; ++row) {
        candidates[q].offer(rounded_key(metric, base.rows[row], queries[q]), row);
      }
    });
  }

  // Scores what may belong to the answer exactly, and gives what does.
  Hits answer(int64_t q, int64_t k, float radius) {
    Hits hits;
    for (const Candidate& candidate : candidates[q].take()) {
      const float key = rounded_key(metric, base.rows[candidate.row], queries[q]);
      if (key <= radius) hits.emplace_back(key, base.ids[candidate.row]);
    }
    std::sort(hits.begin(), hits.end());
    if (static_cast<int64_t>(hits.size()) > k) hits.resize(static_cast<size_t>(k));
    return hits;
  }
};

}  // namespace

double exact_key(Metric metric, const Entries& row, const Entries& query) {
  const int32_t *xw = row.words, *qw = query.words;
  const float *x = row.weights, *q = query.weights;
  const int64_t nx = row.n, nq = query.n;
  double shared = 0, x_side = 0, q_side = 0;
  auto side = [&](float v) {
    return metric == Metric::cosine ? static_cast<double>(v) * v
           : metric == Metric::l1   ? std::fabs(static_cast<double>(v))
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
      if (metric == Metric::histogram_intersection) {
        shared += std::min(a, b);
      } else if (metric == Metric::l1) {
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
  if (metric == Metric::l1) return shared + x_side + q_side;
  if (metric != Metric::cosine) return -shared;
  return x_side > 0 && q_side > 0 ? -shared / std::sqrt(x_side * q_side) : 0.0;
}

std::vector<Hits> Postings::find(const Base& base, const Rows& queries, int64_t k, float radius, int n_threads) const {
  Search search{metric_, base, queries, std::vector<Candidates>(static_cast<size_t>(queries.rows))};
  for (auto& candidates : search.candidates) candidates.reset(k, radius);
  const int workers = resolve_threads(n_threads);
  const bool listed = base.allowed.listed();

  if (!listed) {
    const int64_t n_blocks = static_cast<int64_t>(blocks_.size()), n_groups = ceil_div(queries.rows, kGroup);
    AlignedBuffer<float> keys(checked_mul(workers, kKeys));
    AlignedBuffer<uint16_t> passed(checked_mul(workers, Block::kRows));
    parallel_for(checked_mul(n_blocks, n_groups), workers, [&](int64_t item, int thread) {
      const int64_t b = item / n_groups, g = item % n_groups;  // all groups take a block before the next block
      search.walk_block(*blocks_[b], b * Block::kRows, queries.rows * g / n_groups, queries.rows * (g + 1) / n_groups,
                        keys.data() + thread * kKeys, passed.data() + thread * Block::kRows);
    });
  }
  const int64_t begin = listed ? 0 : rows_in_blocks(base.rows.rows), end = base.allowed.places(base.rows.rows);
  const int64_t parts = ceil_div(end - begin, kPairs);
  parallel_for(checked_mul(queries.rows, parts), workers, [&](int64_t item, int) {
    const int64_t from = begin + item % parts * kPairs;
    search.walk_rows(from, std::min(end, from + kPairs), item / parts);
  });

  std::vector<Hits> found(static_cast<size_t>(queries.rows));
  parallel_for(queries.rows, workers, [&](int64_t q, int) { found[q] = search.answer(q, k, radius); });
  return found;
}

void Postings::search(const Base& base, const Rows& queries, int64_t k, int n_threads, float* keys,
                      int64_t* hits) const {
  const std::vector<Hits> found = find(base, queries, k, kInfinity, n_threads);
  for (const Hits& best : found) {
    for (int64_t i = 0; i < k; ++i) {
      const bool there = i < static_cast<int64_t>(best.size());
      *keys++ = there ? best[i].first : kInfinity;
      *hits++ = there ? best[i].second : -1;
    }
  }
}

std::vector<Hits> Postings::range(const Base& base, const Rows& queries, float radius, int n_threads) const {
  return find(base, queries, base.rows.rows, radius, n_threads);
}

void score(Metric metric, const Rows& rows, const Rows& queries, Matrix<const int64_t> positions, int n_threads,
           float* keys) {
  const int64_t m = positions.cols, pairs = checked_mul(queries.rows, m);
  parallel_for(ceil_div(pairs, kPairs), n_threads, [&](int64_t chunk, int) {
    for (int64_t i = chunk * kPairs; i < std::min(pairs, (chunk + 1) * kPairs); ++i) {
      const int64_t at = positions.row(positions.rows == 1 ? 0 : i / m)[i % m];
      keys[i] = at < 0 ? kInfinity : rounded_key(metric, rows[at], queries[i / m]);
    }
  });
}

}  // namespace cbir::inverted_file
