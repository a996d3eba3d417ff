#include "core/distance.h"

namespace cbir {
namespace {

float difference2(float a, float b) { return (a - b) * (a - b); }
float product(float a, float b) { return a * b; }

// The sum over t of term(x[t], y[t]), in the order that distance.h promises.
template <float (*term)(float, float)>
float sum_of(const float* x, const float* y, int64_t d) {
  float s[16] = {};
  int64_t t = 0;
  for (; t + 16 <= d; t += 16) {
    for (int j = 0; j < 16; ++j) s[j] += term(x[t + j], y[t + j]);
  }
  for (int j = 0; t + j < d; ++j) s[j] += term(x[t + j], y[t + j]);
  for (int width = 8; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) s[j] += s[j + width];
  }
  return s[0];
}

template <float (*term)(float, float)>
void in_order(const float* x, int64_t n, int64_t d, const float* y, int64_t y_stride, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = sum_of<term>(x + i * d, y + i * y_stride, d);
}

template <float (*term)(float, float)>
void gathered(const float* y, Matrix<const float> rows, const int64_t* ids, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = sum_of<term>(rows.row(ids[i]), y, rows.cols);
}

}  // namespace

const DistanceKernels kDistanceGeneric{in_order<difference2>, in_order<product>, gathered<difference2>,
                                       gathered<product>};

}  // namespace cbir
