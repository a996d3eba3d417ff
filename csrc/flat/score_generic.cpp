#include "flat/score.h"

namespace cbir {
namespace {

float difference2(float a, float b) { return (a - b) * (a - b); }
float product(float a, float b) { return a * b; }

// The sum over t of term(x[t], y[t]), in the order that score.h promises.
template <float (*term)(float, float)>
void scores(const float* x, int64_t n, int64_t d, const float* y, int64_t y_stride, float* out) {
  for (int64_t i = 0; i < n; ++i, x += d, y += y_stride) {
    float s[16] = {};
    int64_t t = 0;
    for (; t + 16 <= d; t += 16) {
      for (int j = 0; j < 16; ++j) s[j] += term(x[t + j], y[t + j]);
    }
    for (int j = 0; t + j < d; ++j) s[j] += term(x[t + j], y[t + j]);
    for (int width = 8; width > 0; width /= 2) {
      for (int j = 0; j < width; ++j) s[j] += s[j + width];
    }
    out[i] = s[0];
  }
}

}  // namespace

const ScoreKernels kScoreGeneric{scores<difference2>, scores<product>};

}  // namespace cbir
