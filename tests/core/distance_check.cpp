// core/distance.h, which no Python function shows by itself: every level, every way to ask, the same bits; and matrices
// with a stride. Says what differs, or ends with 0.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/distance.h"
#include "simd/level.h"

namespace {

float value(int64_t i) { return static_cast<float>(std::sin(static_cast<double>(i) * 1.7) * 3); }

// Bits, and closeness to the sum in double.
bool same(const char* what, const char* level, int64_t d, float found, float expected, double exact, double terms) {
  const double bound = static_cast<double>(d / 16 + 7) * 0x1p-24 * terms;
  if (std::memcmp(&found, &expected, 4) == 0 && std::fabs(found - exact) <= bound) return true;
  std::printf("%s at %s, d = %d: %.9g, generic %.9g, exact %.17g\n", what, level, static_cast<int>(d), found, expected,
              exact);
  return false;
}

bool check(const char* level, int64_t d) {
  constexpr int64_t kRows = 9, kOdd = 3;
  const int64_t stride = d + kOdd;
  std::vector<float> wide(static_cast<size_t>(kRows * stride)), rows(static_cast<size_t>(kRows * d)), y(d);
  for (int64_t t = 0; t < d; ++t) y[t] = value(t + 1000);
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t t = 0; t < d; ++t) rows[i * d + t] = wide[i * stride + t] = value(i * d + t);
  }
  const std::vector<int64_t> ids = {8, 0, 3, 3, 7, 8, 1};
  const cbir::DistanceKernels &here = *cbir::simd::pick(cbir::kDistances), &plain = cbir::kDistanceGeneric;
  float found[kRows], expected[kRows], gathered[kRows];
  for (const bool differences : {true, false}) {
    const auto in_order = differences ? here.squared_distances : here.inner_products;
    const auto at = differences ? here.squared_distances_to : here.inner_products_to;
    in_order(rows.data(), kRows, d, y.data(), 0, found);
    (differences ? plain.squared_distances : plain.inner_products)(rows.data(), kRows, d, y.data(), 0, expected);
    std::vector<double> exact(kRows), terms(kRows);
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t t = 0; t < d; ++t) {
        const double a = rows[i * d + t], b = y[t], term = differences ? (a - b) * (a - b) : a * b;
        exact[i] += term;
        terms[i] += std::fabs(term);
      }
      if (!same("in order", level, d, found[i], expected[i], exact[i], 3 * terms[i])) return false;
    }
    for (const int64_t n : {int64_t{0}, int64_t{1}, static_cast<int64_t>(ids.size())}) {
      at(y.data(), {wide.data(), kRows, d, stride}, ids.data(), n, gathered);
      for (int64_t i = 0; i < n; ++i) {
        const int64_t id = ids[static_cast<size_t>(i)];
        if (!same("gathered", level, d, gathered[i], expected[id], exact[id], 3 * terms[id])) return false;
      }
    }
    in_order(rows.data(), kRows, d, rows.data(), d, found);  // each row with itself
    for (int64_t i = 0; i < kRows && differences; ++i) {
      if (found[i] != 0) return std::printf("a row is %g from itself\n", found[i]), false;
    }
  }
  return true;
}

}  // namespace

int main() {
  for (const auto level : cbir::simd::available()) {
    cbir::simd::set_level(cbir::simd::name(level));
    for (const int64_t d : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 127, 128, 129, 960}) {
      if (!check(cbir::simd::name(level), d)) return 1;
    }
  }
  return 0;
}
