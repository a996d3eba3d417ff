// The plain rows: what the other levels must equal.
#include "kmeans/kernels.h"

namespace cbir::kmeans {
namespace {

// acc[w] = bias[w] + sum over t of x[t] * panel[t][w]
void panel_scores(const float* x, int64_t d, const float* panel, const float* bias, float* acc) {
  for (int64_t w = 0; w < kPanel; ++w) acc[w] = bias[w];
  for (int64_t t = 0; t < d; ++t) {
    for (int64_t w = 0; w < kPanel; ++w) acc[w] += x[t] * panel[t * kPanel + w];
  }
}

}  // namespace

void assign_generic(const float* x, int64_t n, int64_t d, const float* panels, const float* bias, int64_t n_panels,
                    float* best, int32_t* arg) {
  float acc[kPanel];
  for (int64_t p = 0; p < n_panels; ++p) {
    for (int64_t i = 0; i < n; ++i) {
      panel_scores(x + i * d, d, panels + p * d * kPanel, bias + p * kPanel, acc);
      for (int64_t w = 0; w < kPanel; ++w) {
        if (acc[w] > best[i]) {
          best[i] = acc[w];
          arg[i] = static_cast<int32_t>(p * kPanel + w);
        }
      }
    }
  }
}

void scores_generic(const float* x, int64_t n, int64_t d, const float* panels, const float* bias, int64_t n_panels,
                    float* scores) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t p = 0; p < n_panels; ++p) {
      panel_scores(x + i * d, d, panels + p * d * kPanel, bias + p * kPanel, scores + (i * n_panels + p) * kPanel);
    }
  }
}

void add_rows_generic(const float* x, int64_t d, const int32_t* rows, int64_t n_rows, double* sums) {
  for (int64_t i = 0; i < n_rows; ++i) {
    const float* row = x + rows[i] * d;
    for (int64_t t = 0; t < d; ++t) sums[t] += static_cast<double>(row[t]);
  }
}

float distance_generic(const float* x, const float* c, int64_t d) {
  constexpr int64_t kLanes = 16;
  float lanes[kLanes] = {};
  int64_t t = 0;
  for (; t + kLanes <= d; t += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float diff = x[t + l] - c[t + l];
      lanes[l] += diff * diff;
    }
  }
  for (int64_t l = 0; t < d; ++t, ++l) {
    const float diff = x[t] - c[t];
    lanes[l] += diff * diff;
  }
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

}  // namespace cbir::kmeans
