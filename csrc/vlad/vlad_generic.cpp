#include <cmath>
#include <cstdint>

#include "vlad/vlad.h"

namespace cbir::vlad {
namespace {

void sum_residuals(const float* x, const int32_t* rows, int64_t n, const float* c, int64_t d, float* sum) {
  for (int64_t t = 0; t < d; ++t) sum[t] = 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    const float* row = x + rows[i] * d;
    for (int64_t t = 0; t < d; ++t) sum[t] += row[t] - c[t];
  }
}

void signed_sqrt(float* v, int64_t d) {
  for (int64_t t = 0; t < d; ++t) v[t] = std::copysign(std::sqrt(std::fabs(v[t])), v[t]);
}

void add_squares(const float* v, int64_t d, double* lanes) {
  for (int64_t t = 0; t < d; ++t) lanes[t % kLanes] += static_cast<double>(v[t]) * v[t];
}

void scale(float* v, int64_t d, float factor) {
  for (int64_t t = 0; t < d; ++t) v[t] *= factor;
}

}  // namespace

const Kernels kGeneric{sum_residuals, signed_sqrt, add_squares, scale};

}  // namespace cbir::vlad
