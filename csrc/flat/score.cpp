#include "flat/score.h"

namespace cbir::flat {

double cosine_of_tiny(const float* x, const float* q, int64_t d) {
  double dot = 0, x2 = 0, q2 = 0;
  for (int64_t t = 0; t < d; ++t) {
    dot += static_cast<double>(x[t]) * q[t];
    x2 += static_cast<double>(x[t]) * x[t];
    q2 += static_cast<double>(q[t]) * q[t];
  }
  return x2 > 0 && q2 > 0 ? dot / std::sqrt(x2 * q2) : 0.0;
}

}  // namespace cbir::flat
