// Packing, and the walk over points and words that keeps both in cache: a chunk of points lies in L2, a panel of words
// in L1 while the chunk passes, and every panel is read from memory once per chunk.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/distance.h"
#include "core/parallel.h"
#include "core/reservoir.h"
#include "kmeans/kernels.h"
#include "kmeans/kmeans.h"

namespace cbir::kmeans {
namespace {

constexpr int64_t kTileBytes = 192 << 10;  // of points, with room for the panels in an L2 of 512 KiB
constexpr int64_t kBlock = 12;             // a multiple of the rows of every register block
constexpr int64_t kMaxChunk = 32 * kBlock;

// Points per chunk: what fits the tile, whole register blocks, enough chunks to share among threads.
int64_t chunk_rows(int64_t d) {
  const int64_t fit = kTileBytes / (4 * std::max<int64_t>(d, 1)) / kBlock * kBlock;
  return std::clamp<int64_t>(fit, 2 * kBlock, kMaxChunk);
}

int64_t tile_panels(int64_t d) { return std::max<int64_t>(1, kTileBytes / (4 * std::max<int64_t>(d, 1)) / kPanel); }

// Where scores are measured from. A score's rounding grows with |x| |c|, so words in a bunch far from 0 are taken
// relative to their mean; words about as far from each other as from 0 are left where they are.
constexpr double kFar = 16;  // squared distance of the mean from 0, in mean squared distances of the words from it

AlignedBuffer<float> mean_of(Matrix<const float> centroids) {
  AlignedBuffer<float> mean(centroids.cols);
  std::vector<double> sums(static_cast<size_t>(centroids.cols), 0.0);
  for (int64_t w = 0; w < centroids.rows; ++w) {
    for (int64_t t = 0; t < centroids.cols; ++t) sums[t] += static_cast<double>(centroids.row(w)[t]);
  }
  for (int64_t t = 0; t < centroids.cols; ++t) {
    mean[t] = static_cast<float>(sums[t] / static_cast<double>(centroids.rows));
  }
  return mean;
}

// The squared distances of all words from their mean are the sum of |c|^2, `squares`, less k |mean|^2.
bool is_far(const AlignedBuffer<float>& mean, double squares, int64_t k) {
  double length = 0;
  for (int64_t t = 0; t < mean.size(); ++t) length += static_cast<double>(mean[t]) * static_cast<double>(mean[t]);
  length *= static_cast<double>(k);
  return length > kFar * (squares - length);
}

// Rows relative to the origin.
void move_rows(Matrix<const float> x, const AlignedBuffer<float>& origin, float* moved) {
  for (int64_t i = 0; i < x.rows; ++i) {
    for (int64_t t = 0; t < x.cols; ++t) moved[i * x.cols + t] = x.row(i)[t] - origin[t];
  }
}

void refuse_unless_finite(const float* row, int64_t d) {
  if (!std::all_of(row, row + d, [](float v) { return std::isfinite(v); })) {
    throw std::invalid_argument("kmeans: x holds NaN or infinity");
  }
}

}  // namespace

Words::Words(Matrix<const float> centroids)
    : centroids_(centroids),
      n_panels_(ceil_div(centroids.rows, kPanel)),
      panels_(checked_mul(checked_mul(n_panels_, kPanel), centroids.cols)),
      bias_(checked_mul(n_panels_, kPanel)),
      scored_(centroids) {
  const int64_t k = centroids.rows, d = centroids.cols;
  if (k > std::numeric_limits<int32_t>::max() - kPanel) throw std::length_error("kmeans: more words than int32 ids");
  AlignedBuffer<float> mean = mean_of(centroids);
  if (is_far(mean, pack(), k)) {
    origin_ = std::move(mean);
    moved_ = AlignedBuffer<float>(checked_mul(k, d));
    move_rows(centroids, origin_, moved_.data());
    scored_ = {moved_.data(), k, d};
    pack();
    mean = mean_of(scored_);
  }
  filter_ = FilterWords(scored_, std::move(mean));
}

// Fills panels_ and bias_ from scored_, and gives the sum of its squares.
double Words::pack() {
  double squares = 0;
  for (int64_t w = 0; w < n_panels_ * kPanel; ++w) {
    float* panel = panels_.data() + (w / kPanel) * d() * kPanel + w % kPanel;
    if (w >= size()) {
      for (int64_t t = 0; t < d(); ++t) panel[t * kPanel] = 0;
      bias_[w] = -std::numeric_limits<float>::infinity();
      continue;
    }
    const float* c = scored_.row(w);
    double norm = 0;
    for (int64_t t = 0; t < d(); ++t) {
      panel[t * kPanel] = c[t];
      norm += static_cast<double>(c[t]) * c[t];
    }
    bias_[w] = static_cast<float>(-norm / 2);
    if (!std::isfinite(bias_[w])) throw std::invalid_argument("kmeans: |c|^2 of a centroid is not a finite float32");
    squares += norm;
  }
  return squares;
}

// For the rare point so far away that its float32 scores overflow: all of them in double, where no square does.
std::vector<double> Words::scores_in_double(const float* x) const {
  std::vector<double> scores(static_cast<size_t>(size()));
  for (int64_t w = 0; w < size(); ++w) {
    const float* c = scored_.row(w);
    double score = 0;
    for (int64_t t = 0; t < d(); ++t) score += static_cast<double>(c[t]) * (static_cast<double>(x[t]) - 0.5 * c[t]);
    scores[w] = score;
  }
  return scores;
}

void Words::assign_plain(Matrix<const float> x, const Kernels& kernels, int32_t* word_ids) const {
  float best[kMaxChunk];
  std::fill(best, best + x.rows, -std::numeric_limits<float>::infinity());
  std::fill(word_ids, word_ids + x.rows, 0);
  kernels.assign(x, {panels_.data(), bias_.data(), n_panels_}, best, word_ids);
  for (int64_t i = 0; i < x.rows; ++i) {
    if (std::isfinite(best[i])) continue;
    refuse_unless_finite(x.row(i), d());
    const std::vector<double> scores = scores_in_double(x.row(i));
    word_ids[i] = static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
}

void Words::assign_chunk(Matrix<const float> x, const Kernels& kernels, const FilterKernels* filter,
                         int32_t* word_ids) const {
  CBIR_DCHECK(x.rows <= kMaxChunk && x.cols == d());
  if (!filter) return assign_plain(x, kernels, word_ids);
  filter_assign(*filter, filter_, scored_, bias_.data(), x, word_ids);
  // Points that the filter could not narrow down, NaN and infinity among them, go to the plain kernel together.
  int64_t rest[kMaxChunk], n_rest = 0;
  for (int64_t i = 0; i < x.rows; ++i) {
    if (word_ids[i] < 0) rest[n_rest++] = i;
  }
  n_filtered_.fetch_add(x.rows - n_rest, std::memory_order_relaxed);
  if (n_rest == 0) return;
  AlignedBuffer<float> gathered(checked_mul(n_rest, d()));
  for (int64_t i = 0; i < n_rest; ++i) std::copy_n(x.row(rest[i]), d(), gathered.data() + i * d());
  int32_t found[kMaxChunk];
  assign_plain({gathered.data(), n_rest, d()}, kernels, found);
  for (int64_t i = 0; i < n_rest; ++i) word_ids[rest[i]] = found[i];
}

void Words::assign(Matrix<const float> x, int n_threads, int32_t* word_ids, float* distances) const {
  const int64_t rows = chunk_rows(d());
  const DistanceKernels& distance = *simd::pick(kDistances);
  const Kernels& kernels = *simd::pick(kTable);
  const FilterKernels* filter = filter_.groups > 0 ? simd::pick(kFilters) : nullptr;
  parallel_for(ceil_div(x.rows, rows), n_threads, [&](int64_t chunk, int) {
    const int64_t first = chunk * rows;
    const Matrix<const float> points = x.some_rows(first, std::min(rows, x.rows - first));
    if (origin_.size() > 0) {
      AlignedBuffer<float> moved(points.rows * d());
      move_rows(points, origin_, moved.data());
      assign_chunk({moved.data(), points.rows, d()}, kernels, filter, word_ids + first);
    } else {
      assign_chunk(points, kernels, filter, word_ids + first);
    }
    if (!distances) return;
    for (int64_t i = first; i < first + points.rows; ++i) {
      distance.squared_distances(x.row(i), 1, d(), centroids_.row(word_ids[i]), 0, distances + i);
    }
  });
}

void Words::nearest(Matrix<const float> x, int64_t n_assign, int n_threads, int32_t* word_ids, float* distances) const {
  const int64_t tile = tile_panels(d());
  const Kernels& kernels = *simd::pick(kTable);
  const DistanceKernels& distance = *simd::pick(kDistances);
  parallel_for(ceil_div(x.rows, kBlock), n_threads, [&](int64_t block, int) {
    const int64_t first = block * kBlock, n = std::min(kBlock, x.rows - first);
    AlignedBuffer<float> scores(checked_mul(kBlock, std::min(tile, n_panels_) * kPanel));
    Matrix<const float> points = x.some_rows(first, n);
    AlignedBuffer<float> moved(origin_.size() > 0 ? n * d() : 0);
    if (origin_.size() > 0) {
      move_rows(points, origin_, moved.data());
      points = {moved.data(), n, d()};
    }
    std::vector<Reservoir> top(static_cast<size_t>(n), Reservoir(n_assign));
    for (int64_t p = 0; p < n_panels_; p += tile) {
      const int64_t panels = std::min(tile, n_panels_ - p), width = panels * kPanel;
      kernels.scores(points, {panels_.data() + p * d() * kPanel, bias_.data() + p * kPanel, panels}, scores.data());
      const int64_t words = std::min(width, size() - p * kPanel);
      for (int64_t i = 0; i < n; ++i) {
        Reservoir& best = top[static_cast<size_t>(i)];
        for (int64_t w = 0; w < words; ++w) {
          const float key = -scores[i * width + w];
          if (key <= best.worst()) best.push(key, p * kPanel + w);
        }
      }
    }
    std::vector<float> keys(static_cast<size_t>(n_assign));
    std::vector<int64_t> ids(static_cast<size_t>(n_assign));
    for (int64_t i = 0; i < n; ++i) {
      top[static_cast<size_t>(i)].drain(keys.data(), ids.data());
      // Finite scores come first, as assign() takes them; unless the best one is not finite, when it looks at all anew.
      int64_t known = 0;
      while (known < n_assign && std::isfinite(keys[static_cast<size_t>(known)])) ++known;
      if (known < n_assign) {
        refuse_unless_finite(points.row(i), d());
        const std::vector<double> exact = scores_in_double(points.row(i));
        std::vector<int64_t> order(exact.size());
        std::iota(order.begin(), order.end(), int64_t{0});
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return exact[a] > exact[b]; });
        const auto end = ids.begin() + known;
        auto next = end;
        for (auto id = order.begin(); next != ids.end(); ++id) {
          if (std::find(ids.begin(), end, *id) == end) *next++ = *id;
        }
      }
      const int64_t at = (first + i) * n_assign;
      distance.squared_distances_to(x.row(first + i), centroids_, ids.data(), n_assign, distances + at);
      for (int64_t a = 0; a < n_assign; ++a) word_ids[at + a] = static_cast<int32_t>(ids[a]);
    }
  });
}

}  // namespace cbir::kmeans
