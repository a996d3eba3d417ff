#include "kmeans/filter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kmeans/kernels.h"

namespace cbir::kmeans {
namespace {

constexpr double kUnit = 1.0 / (1 << 24);  // unit roundoff of float32

// Below these sizes quantising costs more than it saves; above, int32 could overflow (d * 255 * 127 < 2^31).
constexpr int64_t kLeastWords = 64, kLeastDims = 32, kMostDims = 1 << 15;

float up(double value) { return static_cast<float>(value * (1 + 1e-6)); }

}  // namespace

FilterBound::FilterBound(const WordLengths& words, int64_t d) {
  const double gamma = static_cast<double>(d + 8) * kUnit;  // bounds that many roundings in a row
  const double loose = 1 + 4 * gamma;                       // for those in the measured lengths themselves
  // |fl(x.c - |c|^2 / 2) - (...)| <= gamma (|x| |c| + |c|^2 / 2), and |x| <= |x'| + |mean|.
  slope = up(gamma * loose * words.whole);
  offset = up(gamma * loose * (words.mean * words.whole + words.whole * words.whole / 2));
  // Two words may each be off, hence 2. The integer bias is off by its rounding and by some roundings of what it is
  // made of.
  const double max_bias = words.centred * words.centred / 2, max_start = 128.0 * 127.0 * static_cast<double>(d);
  per_error = up(2 * loose * (words.centred + static_cast<double>(slope)));
  per_norm = up(2 * loose * (words.error + static_cast<double>(slope)));
  per_unit = up(2 * loose * static_cast<double>(offset) + 16 * kUnit * max_bias);
  per_point = up(3 + 16 * kUnit * max_start);
}

FilterWords::FilterWords(Matrix<const float> centroids, AlignedBuffer<float> mean_of_words)
    : mean(std::move(mean_of_words)) {
  const int64_t k = centroids.rows, d = centroids.cols;
  if (k < kLeastWords || d < kLeastDims || d > kMostDims) return;
  double largest = 0;
  for (int64_t w = 0; w < k; ++w) {
    for (int64_t t = 0; t < d; ++t) {
      largest = std::max(largest, std::abs(static_cast<double>(centroids.row(w)[t]) - static_cast<double>(mean[t])));
    }
  }
  const double step = largest / 127, inverse = 1 / step;
  if (!(inverse < 1e30)) return;  // all words the same
  const WordLengths lengths = pack(centroids, step);
  inverse_step = static_cast<float>(inverse);
  least_step = up(lengths.centred * lengths.centred / 2 * inverse / (1 << 28));
  bound = FilterBound(lengths, d);
}

WordLengths FilterWords::pack(Matrix<const float> centroids, double step) {
  const int64_t k = centroids.rows, d = centroids.cols;
  const double inverse = 1 / step;
  groups = ceil_div(d, 4);
  n_panels = ceil_div(k, kPanel);
  panels = AlignedBuffer<int8_t>(checked_mul(n_panels * kPanel, groups * 4));
  bias = AlignedBuffer<float>(n_panels * kPanel);
  start = AlignedBuffer<float>(n_panels * kPanel);
  std::fill_n(panels.data(), panels.size(), static_cast<int8_t>(0));
  std::fill_n(bias.data(), bias.size(), -std::numeric_limits<float>::infinity());
  std::fill_n(start.data(), start.size(), 0.0f);
  const float* middle = mean.data();
  const int64_t panel_size = groups * kPanel * 4;
  WordLengths squares;
  for (int64_t w = 0; w < k; ++w) {
    const float* c = centroids.row(w);
    int8_t* panel = panels.data() + (w / kPanel) * panel_size + (w % kPanel) * 4;
    double norm = 0, length = 0, error = 0;
    int32_t sum = 0;
    for (int64_t t = 0; t < d; ++t) {
      const double centred = static_cast<double>(c[t]) - static_cast<double>(middle[t]), exact = centred * inverse;
      const int code = static_cast<int>(exact + (exact < 0 ? -0.5 : 0.5));  // half away from zero, without a call
      panel[(t / 4) * kPanel * 4 + t % 4] = static_cast<int8_t>(code);
      sum += code;
      norm += centred * centred;
      length += static_cast<double>(c[t]) * c[t];
      error += (centred - code * step) * (centred - code * step);
    }
    bias[w] = static_cast<float>(-norm / 2);
    start[w] = -128.0f * static_cast<float>(sum);
    squares.centred = std::max(squares.centred, norm);
    squares.error = std::max(squares.error, error);
    squares.whole = std::max(squares.whole, length);
  }
  for (int64_t t = 0; t < d; ++t) squares.mean += static_cast<double>(mean[t]) * static_cast<double>(mean[t]);
  return {std::sqrt(squares.centred), std::sqrt(squares.error), std::sqrt(squares.whole), std::sqrt(squares.mean)};
}

void Narrowed::reset(int64_t n, int64_t groups) {
  codes.resize(static_cast<size_t>(n * groups * 4));
  units.resize(static_cast<size_t>(n));
  length.resize(static_cast<size_t>(n));
  margin.resize(static_cast<size_t>(n));
  best.assign(static_cast<size_t>(n), std::numeric_limits<int32_t>::min());
  count.assign(static_cast<size_t>(n), 0);
  candidates.resize(static_cast<size_t>(n * kMaxCandidates));
}

namespace {

// The plain kernel's score, addition by addition.
float score_in_order(const float* x, const float* c, float bias, int64_t d) {
  float score = bias;
  for (int64_t t = 0; t < d; ++t) score = std::fma(x[t], c[t], score);
  return score;
}

// Which of `count` words the plain kernel would choose. Their scores and those of the plain kernel are off by at most
// `rounding` each. -1 where that cannot be said.
int32_t choose(const Pair* pairs, const float* scores, int64_t count, float rounding, const float* x,
               Matrix<const float> centroids, const float* bias) {
  float highest = scores[0], second = -std::numeric_limits<float>::infinity();
  int32_t word = pairs[0].word;
  for (int64_t j = 1; j < count; ++j) {
    word = scores[j] > highest ? pairs[j].word : word;
    second = std::max(second, std::min(highest, scores[j]));
    highest = std::max(highest, scores[j]);
  }
  if (!std::isfinite(highest)) return -1;  // so far away that scores overflow: not for float32
  const float near = highest - 4.001f * rounding;
  if (second < near) return word;
  float best = -std::numeric_limits<float>::infinity();
  for (int64_t j = 0; j < count; ++j) {
    if (!(scores[j] >= near)) continue;
    const int32_t w = pairs[j].word;
    const float exact = score_in_order(x, centroids.row(w), bias[w], centroids.cols);
    if (exact > best) best = exact, word = w;
  }
  return word;
}

// What float32 has to decide, of all points of a chunk.
struct Undecided {
  std::vector<Pair> pairs;  // the candidates of a point side by side; points that have two come first
  int64_t n_two = 0, n_pairs = 0;
  std::vector<float> scores;  // of the pairs
  std::vector<int32_t> more;  // points with more than two candidates
};

// Writes the word of the points that have one candidate, -1 for those that have none, and gathers the pairs of the
// rest. Two candidates are the most frequent case that needs a look. No one can guess which points have them: no
// branches.
void gather(const Narrowed& points, int64_t n, int32_t* word_ids, Undecided& undecided) {
  undecided.pairs.resize(static_cast<size_t>(n * kMaxCandidates + 1));
  undecided.more.resize(static_cast<size_t>(n));
  Pair* pairs = undecided.pairs.data();
  int32_t* more = undecided.more.data();
  int64_t n_two = 0, n_more = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Candidate* few = points.candidates.data() + i * kMaxCandidates;
    const int32_t count = points.count[i];
    word_ids[i] = count ? few[0].word : -1;
    more[n_more] = static_cast<int32_t>(i);
    pairs[2 * n_two] = {static_cast<int32_t>(i), few[0].word};
    pairs[2 * n_two + 1] = {static_cast<int32_t>(i), few[1].word};
    n_two += count == 2;
    n_more += count > 2;
  }
  int64_t n_pairs = 2 * n_two;
  for (int64_t m = 0; m < n_more; ++m) {
    const int32_t i = more[m], threshold = points.best[i] - points.margin[i];
    const Candidate* few = points.candidates.data() + i * kMaxCandidates;
    for (int32_t j = 0; j < points.count[i]; ++j) {
      pairs[n_pairs] = {i, few[j].word};
      n_pairs += few[j].score >= threshold;
    }
  }
  undecided.n_two = n_two;
  undecided.n_pairs = n_pairs;
  undecided.scores.resize(static_cast<size_t>(n_pairs));
}

}  // namespace

void filter_assign(const FilterKernels& kernels, const FilterWords& words, Matrix<const float> centroids,
                   const float* bias, Matrix<const float> x, int32_t* word_ids) {
  thread_local Narrowed points;
  thread_local Undecided undecided;
  points.reset(x.rows, words.groups);
  kernels.quantise(x, words, points);
  kernels.scan(x.rows, words, points);
  gather(points, x.rows, word_ids, undecided);

  const Pair* pairs = undecided.pairs.data();
  const int64_t n_pairs = undecided.n_pairs;
  kernels.pair_scores(x, centroids, bias, pairs, n_pairs, undecided.scores.data());
  for (int64_t p = 0, count = 2; p < n_pairs; p += count) {
    const int64_t i = pairs[p].point;
    if (p >= 2 * undecided.n_two) {
      for (count = 1; p + count < n_pairs && pairs[p + count].point == i;) ++count;
    }
    word_ids[i] = choose(pairs + p, undecided.scores.data() + p, count, words.bound.rounding(points.length[i]),
                         x.row(i), centroids, bias);
  }
}

}  // namespace cbir::kmeans
