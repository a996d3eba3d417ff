// Lloyd's iterations. Points are sorted by word, and each word adds its own points in the
// order of their rows, in double: the sums are the same whatever the number of threads, and nothing of size k x d is
// needed per thread.
#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "core/by_word.h"
#include "core/parallel.h"
#include "kmeans/kernels.h"
#include "kmeans/kmeans.h"

namespace cbir::kmeans {
namespace {

// Gives each empty word the point farthest from its centroid, the farthest point to the lowest empty word, and takes
// the point from the word that had it. A point alone in its word, or lying on its centroid, is left where it is. The
// inertia can only fall: the point's share becomes 0, and the rest of its old word gets its own mean.
int64_t repair_empty(std::vector<int64_t>& counts, std::vector<int32_t>& word_ids,
                     const std::vector<float>& distances) {
  std::vector<int32_t> empty;
  for (size_t w = 0; w < counts.size(); ++w) {
    if (counts[w] == 0) empty.push_back(static_cast<int32_t>(w));
  }
  if (empty.empty()) return 0;
  std::vector<int32_t> rows(word_ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  const auto farther = [&](int32_t a, int32_t b) {
    return distances[a] != distances[b] ? distances[a] > distances[b] : a < b;
  };
  // Some of the farthest may be alone in their word: sort in portions until every empty word has its point.
  size_t sorted = 0, next = 0;
  while (next < empty.size() && sorted < rows.size()) {
    const size_t portion = std::min(rows.size(), sorted + 2 * (empty.size() - next) + 16);
    std::partial_sort(rows.begin() + sorted, rows.begin() + portion, rows.end(), farther);
    for (; sorted < portion && next < empty.size(); ++sorted) {
      const int32_t row = rows[sorted];
      if (!(distances[row] > 0)) return static_cast<int64_t>(next);
      if (counts[word_ids[row]] < 2) continue;
      --counts[word_ids[row]];
      word_ids[row] = empty[next];
      counts[empty[next]] = 1;
      ++next;
    }
  }
  return static_cast<int64_t>(next);
}

// centroids[w] = mean of the points of word w; a word that stayed empty keeps its centroid.
void move_to_means(Matrix<const float> x, const std::vector<int32_t>& word_ids, int n_threads,
                   Matrix<float> centroids) {
  const int64_t k = centroids.rows, d = centroids.cols;
  ByWord by_word;
  by_word.sort(word_ids.data(), static_cast<int64_t>(word_ids.size()), k);
  const Kernels& kernels = *simd::pick(kTable);
  constexpr int64_t kWordsPerChunk = 16;
  parallel_for(ceil_div(k, kWordsPerChunk), n_threads, [&](int64_t chunk, int) {
    std::vector<double> sums(static_cast<size_t>(d));
    const int64_t last = std::min(k, (chunk + 1) * kWordsPerChunk);
    for (int64_t w = chunk * kWordsPerChunk; w < last; ++w) {
      const int64_t count = by_word.count(w);
      if (count == 0) continue;
      std::fill(sums.begin(), sums.end(), 0.0);
      kernels.add_rows(x, by_word.rows(w), count, sums.data());
      for (int64_t t = 0; t < d; ++t) centroids.row(w)[t] = static_cast<float>(sums[t] / static_cast<double>(count));
    }
  });
}

double sum_in_order(const std::vector<float>& values) {
  double sum = 0;
  for (float v : values) sum += static_cast<double>(v);
  return sum;
}

}  // namespace

LloydResult lloyd(Matrix<const float> x, Matrix<float> centroids, int64_t n_iter, int n_threads,
                  const std::function<void(int64_t)>& on_assignment) {
  if (x.rows > std::numeric_limits<int32_t>::max()) throw std::length_error("kmeans: more than 2^31 training points");
  const size_t n = static_cast<size_t>(x.rows);
  const Matrix<const float> fixed{centroids.data, centroids.rows, centroids.cols};
  LloydResult result;
  std::vector<int32_t> word_ids(n, -1), before;
  std::vector<float> distances(n);
  for (int64_t iteration = 0;; ++iteration) {
    before = word_ids;
    Words(fixed).assign(x, n_threads, word_ids.data(), distances.data());
    result.inertia.push_back(sum_in_order(distances));
    if (on_assignment) on_assignment(iteration + 1);
    if (iteration == n_iter || word_ids == before) return result;
    std::vector<int64_t> counts(static_cast<size_t>(centroids.rows), 0);
    for (int32_t w : word_ids) ++counts[w];
    result.n_repaired += repair_empty(counts, word_ids, distances);
    move_to_means(x, word_ids, n_threads, centroids);
  }
}

}  // namespace cbir::kmeans
