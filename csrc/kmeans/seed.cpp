// Where to start: k-means++ (Arthur & Vassilvitskii, SODA 2007), and for many words its batched form.
//
// k-means++ draws one row after the other with probability proportional to D^2, the squared distance to the nearest row
// drawn so far: n_words passes over the data. From kExactSeeds words on, rows are drawn in batches without replacement
// (half as many as there are already), and D^2 is renewed after each batch: the idea of k-means|| (Bahmani et al., VLDB
// 2012), with the whole cost that of one Lloyd iteration. Departure from k-means||: it oversamples and then clusters
// the sample down to n_words, at n_words^2 d; here exactly n_words are drawn, since 100,000^2 d is out of reach.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "core/distance.h"
#include "core/parallel.h"
#include "core/random.h"
#include "kmeans/kernels.h"
#include "kmeans/kmeans.h"

namespace cbir::kmeans {
namespace {

constexpr int64_t kChunk = 4096;

class Seeder {
 public:
  Seeder(Matrix<const float> x, uint64_t seed, int n_threads)
      : x_(x),
        seed_(seed),
        n_threads_(n_threads),
        distances_(static_cast<size_t>(x.rows), std::numeric_limits<float>::infinity()),
        taken_(static_cast<size_t>(x.rows), false),
        sums_(static_cast<size_t>(ceil_div(x.rows, kChunk))) {}

  void draw_first() {
    take(std::min(x_.rows - 1, static_cast<int64_t>(next_uniform() * static_cast<double>(x_.rows))));
    renew({rows_.back()});
  }

  // One row with probability D^2 / sum D^2.
  void draw_one() {
    double total = std::accumulate(sums_.begin(), sums_.end(), 0.0);
    if (!(total > 0)) return take_lowest(1);
    double left = next_uniform() * total;
    size_t chunk = 0;
    while (chunk + 1 < sums_.size() && left >= sums_[chunk]) left -= sums_[chunk++];
    const int64_t first = static_cast<int64_t>(chunk) * kChunk, last = std::min(x_.rows, first + kChunk);
    int64_t row = -1;
    for (int64_t i = first; i < last; ++i) {
      if (!(distances_[i] > 0)) continue;
      row = i;  // rounding may leave a rest at the end of the chunk: the last row that can be drawn takes it
      if ((left -= distances_[i]) < 0) break;
    }
    if (row < 0) row = std::max_element(distances_.begin(), distances_.end()) - distances_.begin();
    take(row);
    renew({row});
  }

  // `count` rows without replacement, probabilities proportional to D^2: the rows with the smallest -log(u) / D^2
  // (Efraimidis & Spirakis, IPL 2006).
  void draw_batch(int64_t count) {
    const uint64_t base = counter_;
    counter_ += static_cast<uint64_t>(x_.rows);
    std::vector<std::pair<double, int64_t>> keys(static_cast<size_t>(x_.rows));
    parallel_for(ceil_div(x_.rows, kChunk), n_threads_, [&](int64_t chunk, int) {
      const int64_t last = std::min(x_.rows, (chunk + 1) * kChunk);
      for (int64_t i = chunk * kChunk; i < last; ++i) {
        const double u = 1.0 - uniform(seed_, base + static_cast<uint64_t>(i));
        keys[i] = {distances_[i] > 0 ? -std::log(u) / distances_[i] : std::numeric_limits<double>::infinity(), i};
      }
    });
    std::nth_element(keys.begin(), keys.begin() + (count - 1), keys.end());
    std::sort(keys.begin(), keys.begin() + count);
    std::vector<int64_t> drawn;
    for (int64_t i = 0; i < count && std::isfinite(keys[i].first); ++i) drawn.push_back(keys[i].second);
    for (int64_t row : drawn) take(row);
    if (!drawn.empty()) renew(drawn);
    take_lowest(count - static_cast<int64_t>(drawn.size()));
  }

  std::vector<int64_t>& rows() { return rows_; }

 private:
  double next_uniform() { return uniform(seed_, counter_++); }

  void take(int64_t row) {
    rows_.push_back(row);
    taken_[row] = true;
  }

  // Every row lies on one already drawn: fewer distinct points than words. The lowest free rows fill up.
  void take_lowest(int64_t count) {
    for (int64_t i = 0; i < x_.rows && count > 0; ++i) {
      if (taken_[i]) continue;
      take(i);
      --count;
    }
  }

  // D^2 against the new rows only, and its sum per chunk.
  void renew(const std::vector<int64_t>& drawn) {
    const DistanceKernels& distance = *simd::pick(kDistances);
    const int64_t d = x_.cols, m = static_cast<int64_t>(drawn.size());
    AlignedBuffer<float> fresh(checked_mul(m, d));
    for (int64_t j = 0; j < m; ++j) std::copy_n(x_.row(drawn[j]), d, fresh.data() + j * d);
    std::vector<float> found;
    if (m > 1) {
      found.resize(static_cast<size_t>(x_.rows));
      std::vector<int32_t> ids(static_cast<size_t>(x_.rows));
      Words({fresh.data(), m, d}).assign(x_, n_threads_, ids.data(), found.data());
    }
    parallel_for(static_cast<int64_t>(sums_.size()), n_threads_, [&](int64_t chunk, int) {
      double sum = 0;
      const int64_t last = std::min(x_.rows, (chunk + 1) * kChunk);
      for (int64_t i = chunk * kChunk; i < last; ++i) {
        float here = m > 1 ? found[i] : 0;
        if (m == 1) distance.squared_distances(x_.row(i), 1, d, fresh.data(), 0, &here);
        distances_[i] = taken_[i] ? 0.0f : std::min(distances_[i], here);
        sum += static_cast<double>(distances_[i]);
      }
      sums_[chunk] = sum;
    });
  }

  Matrix<const float> x_;
  uint64_t seed_;
  int n_threads_;
  uint64_t counter_ = 0;
  std::vector<float> distances_;  // D^2 of each row
  std::vector<bool> taken_;
  std::vector<double> sums_;  // of distances_, per chunk
  std::vector<int64_t> rows_;
};

}  // namespace

std::vector<int64_t> seed_rows(Matrix<const float> x, int64_t n_words, uint64_t seed, int n_threads) {
  Seeder seeder(x, seed, n_threads);
  const auto count = [&] { return static_cast<int64_t>(seeder.rows().size()); };
  seeder.draw_first();
  const int64_t one_by_one = n_words <= kExactSeeds ? n_words : kExactSeeds / 4;
  while (count() < one_by_one) seeder.draw_one();
  while (count() < n_words) seeder.draw_batch(std::min(n_words - count(), count() / 2));
  return std::move(seeder.rows());
}

}  // namespace cbir::kmeans
