// Packing, and the walk over points and words that keeps both in cache: a chunk of points lies in L2, a panel of words
// in L1 while the chunk passes, and every panel is read from memory once per chunk.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/parallel.h"
#include "core/topk.h"
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

}  // namespace

Words::Words(Matrix<const float> centroids)
    : centroids_(centroids),
      n_panels_(ceil_div(centroids.rows, kPanel)),
      panels_(checked_mul(checked_mul(n_panels_, kPanel), centroids.cols)),
      bias_(checked_mul(n_panels_, kPanel)) {
  const int64_t k = centroids.rows, d = centroids.cols;
  if (k > std::numeric_limits<int32_t>::max() - kPanel) throw std::length_error("kmeans: more words than int32 ids");
  for (int64_t w = 0; w < n_panels_ * kPanel; ++w) {
    float* panel = panels_.data() + (w / kPanel) * d * kPanel + w % kPanel;
    if (w >= k) {
      for (int64_t t = 0; t < d; ++t) panel[t * kPanel] = 0;
      bias_[w] = -std::numeric_limits<float>::infinity();
      continue;
    }
    const float* c = centroids.row(w);
    double norm = 0;
    for (int64_t t = 0; t < d; ++t) {
      panel[t * kPanel] = c[t];
      norm += static_cast<double>(c[t]) * c[t];
    }
    bias_[w] = static_cast<float>(-norm / 2);
    if (!std::isfinite(bias_[w])) throw std::invalid_argument("kmeans: |c|^2 of a centroid is not a finite float32");
  }
  filter_ = FilterWords(centroids);
}

void Words::assign_plain(const float* x, int64_t n, int32_t* word_ids) const {
  const AssignFn kernel = simd::pick(kAssign);
  float best[kMaxChunk];
  std::fill(best, best + n, -std::numeric_limits<float>::infinity());
  std::fill(word_ids, word_ids + n, 0);
  kernel(x, n, d(), panels_.data(), bias_.data(), n_panels_, best, word_ids);
  // A value that is NaN or infinite leaves no finite score; so may numbers whose squares overflow.
  for (int64_t i = 0; i < n; ++i) {
    if (std::isfinite(best[i])) continue;
    const float* row = x + i * d();
    if (!std::all_of(row, row + d(), [](float v) { return std::isfinite(v); })) {
      throw std::invalid_argument("kmeans: x holds NaN or infinity");
    }
  }
}

void Words::assign_chunk(const float* x, int64_t n, int32_t* word_ids) const {
  const FilterFn filter = simd::pick(kFilter);
  if (!filter || filter_.groups == 0) return assign_plain(x, n, word_ids);
  filter_assign(*filter(), filter_, centroids_, bias_.data(), x, n, word_ids);
  // Points that the filter could not narrow down, NaN and infinity among them, go to the plain kernel together.
  int64_t rest[kMaxChunk], n_rest = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (word_ids[i] < 0) rest[n_rest++] = i;
  }
  if (n_rest == 0) return;
  const int64_t d = this->d();
  AlignedBuffer<float> gathered(checked_mul(n_rest, d));
  for (int64_t i = 0; i < n_rest; ++i) std::copy_n(x + rest[i] * d, d, gathered.data() + i * d);
  int32_t found[kMaxChunk];
  assign_plain(gathered.data(), n_rest, found);
  for (int64_t i = 0; i < n_rest; ++i) word_ids[rest[i]] = found[i];
}

void Words::assign(Matrix<const float> x, int n_threads, int32_t* word_ids, float* distances) const {
  const int64_t rows = chunk_rows(d());
  const DistanceFn distance = simd::pick(kDistance);
  parallel_for(ceil_div(x.rows, rows), n_threads, [&](int64_t chunk, int) {
    const int64_t first = chunk * rows, n = std::min(rows, x.rows - first);
    assign_chunk(x.row(first), n, word_ids + first);
    if (!distances) return;
    for (int64_t i = first; i < first + n; ++i) distances[i] = distance(x.row(i), centroids_.row(word_ids[i]), d());
  });
}

void Words::nearest(Matrix<const float> x, int64_t n_assign, int n_threads, int32_t* word_ids, float* distances) const {
  // Scores rank; what is returned is measured by direct differences, which may swap words whose scores are equal but
  // for rounding: a few more are measured than are returned.
  const int64_t kept = std::min(size(), n_assign + 4);
  const int64_t tile = tile_panels(d());
  const ScoresFn kernel = simd::pick(kScores);
  const DistanceFn distance = simd::pick(kDistance);
  parallel_for(ceil_div(x.rows, kBlock), n_threads, [&](int64_t block, int) {
    const int64_t first = block * kBlock, n = std::min(kBlock, x.rows - first);
    AlignedBuffer<float> scores(checked_mul(kBlock, std::min(tile, n_panels_) * kPanel));
    std::vector<TopK> top(static_cast<size_t>(n), TopK(kept));
    for (int64_t p = 0; p < n_panels_; p += tile) {
      const int64_t panels = std::min(tile, n_panels_ - p), width = panels * kPanel;
      kernel(x.row(first), n, d(), panels_.data() + p * d() * kPanel, bias_.data() + p * kPanel, panels, scores.data());
      const int64_t words = std::min(width, size() - p * kPanel);
      for (int64_t i = 0; i < n; ++i) {
        TopK& best = top[static_cast<size_t>(i)];
        for (int64_t w = 0; w < words; ++w) {
          const float key = -scores[i * width + w];
          if (key <= best.threshold()) best.push(key, p * kPanel + w);
        }
      }
    }
    std::vector<float> keys(static_cast<size_t>(kept));
    std::vector<int64_t> ids(static_cast<size_t>(kept));
    std::vector<std::pair<float, int64_t>> found;
    for (int64_t i = 0; i < n; ++i) {
      top[static_cast<size_t>(i)].drain(keys.data(), ids.data());
      found.clear();
      for (int64_t id : ids) found.emplace_back(distance(x.row(first + i), centroids_.row(id), d()), id);
      std::sort(found.begin(), found.end());
      for (int64_t a = 0; a < n_assign; ++a) {
        distances[(first + i) * n_assign + a] = found[static_cast<size_t>(a)].first;
        word_ids[(first + i) * n_assign + a] = static_cast<int32_t>(found[static_cast<size_t>(a)].second);
      }
    }
  });
}

}  // namespace cbir::kmeans
