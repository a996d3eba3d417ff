#include "kmeans/filter.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kmeans/kernels.h"

namespace cbir::kmeans {
namespace {

constexpr double kUnit = 1.0 / (1 << 24);  // unit roundoff of float32

// Below these sizes quantising costs more than it saves; above, int32 could overflow (d * 255 * 127 < 2^31).
constexpr int64_t kLeastWords = 64, kLeastDims = 32, kMostDims = 1 << 15;

float up(double value) { return static_cast<float>(value * (1 + 1e-6)); }

}  // namespace

FilterWords::FilterWords(Matrix<const float> centroids) {
  const int64_t k = centroids.rows, d = centroids.cols;
  if (k < kLeastWords || d < kLeastDims || d > kMostDims) return;
  groups = ceil_div(d, 4);
  n_panels = ceil_div(k, kPanel);
  panels = AlignedBuffer<int8_t>(checked_mul(n_panels * kPanel, groups * 4));
  start = AlignedBuffer<int32_t>(n_panels * kPanel);
  scale = AlignedBuffer<float>(n_panels * kPanel);
  bias = AlignedBuffer<float>(n_panels * kPanel);
  std::fill_n(panels.data(), panels.size(), static_cast<int8_t>(0));

  std::vector<double> sums(static_cast<size_t>(d), 0.0);
  for (int64_t w = 0; w < k; ++w) {
    for (int64_t t = 0; t < d; ++t) sums[t] += static_cast<double>(centroids.row(w)[t]);
  }
  mean.resize(static_cast<size_t>(d));
  for (int64_t t = 0; t < d; ++t) mean[t] = static_cast<float>(sums[t] / static_cast<double>(k));

  double mean_square = 0, centred_max = 0, error_max = 0, length_max = 0;
  std::vector<double> centred(static_cast<size_t>(d));
  for (int64_t w = 0; w < n_panels * kPanel; ++w) {
    start[w] = 0;
    scale[w] = 0;
    bias[w] = -std::numeric_limits<float>::infinity();
    if (w >= k) continue;
    const float* c = centroids.row(w);
    double norm = 0, length = 0, largest = 0, error = 0;
    for (int64_t t = 0; t < d; ++t) {
      centred[t] = static_cast<double>(c[t]) - static_cast<double>(mean[t]);
      norm += centred[t] * centred[t];
      length += static_cast<double>(c[t]) * c[t];
      largest = std::max(largest, std::abs(centred[t]));
    }
    const float step = static_cast<float>(largest / 127);
    const double inverse = step > 0 ? 1 / static_cast<double>(step) : 0;
    int8_t* panel = panels.data() + (w / kPanel) * groups * kPanel * 4 + (w % kPanel) * 4;
    int32_t sum = 0;
    for (int64_t t = 0; t < d; ++t) {
      // Half away from zero, without a call; a step rounded down could give 128.
      const double exact = centred[t] * inverse;
      const int code = std::clamp(static_cast<int>(exact + (exact < 0 ? -0.5 : 0.5)), -127, 127);
      panel[(t / 4) * kPanel * 4 + t % 4] = static_cast<int8_t>(code);
      sum += code;
      const double missed = centred[t] - code * static_cast<double>(step);
      error += missed * missed;
    }
    start[w] = -128 * sum;
    scale[w] = step;
    bias[w] = static_cast<float>(-norm / 2);
    centred_max = std::max(centred_max, norm);
    error_max = std::max(error_max, error);
    length_max = std::max(length_max, length);
  }
  max_centred = up(std::sqrt(centred_max));
  max_error = up(std::sqrt(error_max));
  max_length = up(std::sqrt(length_max));
  for (float m : mean) mean_square += static_cast<double>(m) * static_cast<double>(m);
  mean_length = up(std::sqrt(mean_square));
}

void filter_assign(const FilterKernels& kernels, const FilterWords& words, Matrix<const float> centroids,
                   const float* bias, const float* x, int64_t n, int32_t* word_ids) {
  const int64_t d = centroids.cols;
  // Kept from chunk to chunk: fresh pages for each would cost as much as the scan.
  thread_local std::vector<uint8_t> codes;
  thread_local std::vector<CodeFacts> facts;
  thread_local Left left;
  codes.resize(static_cast<size_t>(n * words.groups * 4));
  facts.resize(static_cast<size_t>(n));
  left.best.assign(static_cast<size_t>(n), -std::numeric_limits<float>::infinity());
  left.margin.resize(static_cast<size_t>(n));
  left.count.assign(static_cast<size_t>(n), 0);
  left.words.resize(static_cast<size_t>(n * kMaxLeft));
  left.scores.resize(static_cast<size_t>(n * kMaxLeft));
  kernels.quantise(x, n, d, words.groups, words.mean.data(), codes.data(), facts.data());

  // gamma(m) = m u bounds m roundings; `loose` covers those in the measured norms themselves.
  const double gamma = static_cast<double>(d + 8) * kUnit, loose = 1 + 4 * gamma;
  const double centred = words.max_centred, length = words.max_length, offset = words.mean_length;
  thread_local std::vector<float> rounding;
  rounding.resize(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const CodeFacts& f = facts[i];
    const double error = f.error * loose, norm = f.code_norm * loose;
    const double point = norm + error + offset;  // at least |x|
    const double plain = gamma * loose * (point * length + length * length / 2);
    const double small = 8 * kUnit * ((norm + error) * centred + centred * centred);
    const double margin = 2 * (error * centred + norm * words.max_error + small + plain);
    rounding[i] = up(plain);
    left.margin[i] = up(margin);
    if (!(margin < 1e30)) left.count[i] = -1;
  }
  kernels.scan(codes.data(), facts.data(), n, words, left);
  for (int64_t i = 0; i < n; ++i) {
    int32_t* few = left.words.data() + i * kMaxLeft;
    const float* scores = left.scores.data() + i * kMaxLeft;
    int64_t count = 0;
    for (int32_t j = 0; j < left.count[i]; ++j) {
      if (scores[j] >= left.best[i] - left.margin[i]) few[count++] = few[j];
    }
    word_ids[i] = count == 0   ? -1
                  : count == 1 ? few[0]
                               : kernels.settle(x + i * d, centroids, bias, few, count, rounding[i]);
  }
}

}  // namespace cbir::kmeans
