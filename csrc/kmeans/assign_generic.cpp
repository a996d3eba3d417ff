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

void assign(Matrix<const float> x, Panels panels, float* best, int32_t* arg) {
  float acc[kPanel];
  for (int64_t p = 0; p < panels.n_panels; ++p) {
    for (int64_t i = 0; i < x.rows; ++i) {
      panel_scores(x.row(i), x.cols, panels.words + p * x.cols * kPanel, panels.bias + p * kPanel, acc);
      for (int64_t w = 0; w < kPanel; ++w) {
        if (acc[w] > best[i]) {
          best[i] = acc[w];
          arg[i] = static_cast<int32_t>(p * kPanel + w);
        }
      }
    }
  }
}

void scores(Matrix<const float> x, Panels panels, float* scores) {
  for (int64_t i = 0; i < x.rows; ++i) {
    for (int64_t p = 0; p < panels.n_panels; ++p) {
      panel_scores(x.row(i), x.cols, panels.words + p * x.cols * kPanel, panels.bias + p * kPanel,
                   scores + (i * panels.n_panels + p) * kPanel);
    }
  }
}

}  // namespace

void add_rows_generic(Matrix<const float> x, const int32_t* rows, int64_t n_rows, double* sums) {
  for (int64_t i = 0; i < n_rows; ++i) {
    const float* row = x.row(rows[i]);
    for (int64_t t = 0; t < x.cols; ++t) sums[t] += static_cast<double>(row[t]);
  }
}

const Kernels kGeneric{assign, scores, add_rows_generic};

}  // namespace cbir::kmeans
