// AVX2 rows: 6 points by 16 words in 12 registers, the four quarters of a panel one after the other.
#include "kmeans/kernels.h"
#include "simd/target.h"

#if defined(__x86_64__)

#include <immintrin.h>

CBIR_TARGET_BEGIN("avx2,fma")

namespace cbir::kmeans {
namespace {

constexpr int kRows = 6;

// Scores of R points against 16 words: acc[r][h] holds words 8h .. 8h+7 of the quarter.
template <int R>
inline __attribute__((always_inline)) void quarter_panel(const float* x, int64_t d, const float* panel,
                                                         const float* bias, __m256 (&acc)[R][2]) {
  const __m256 b0 = _mm256_loadu_ps(bias), b1 = _mm256_loadu_ps(bias + 8);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) acc[r][0] = b0, acc[r][1] = b1;
  for (int64_t t = 0; t < d; ++t) {
    const __m256 c0 = _mm256_loadu_ps(panel + t * kPanel), c1 = _mm256_loadu_ps(panel + t * kPanel + 8);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m256 v = _mm256_broadcast_ss(x + r * d + t);
      acc[r][0] = _mm256_fmadd_ps(v, c0, acc[r][0]);
      acc[r][1] = _mm256_fmadd_ps(v, c1, acc[r][1]);
    }
  }
}

template <int R>
void assign_rows(const float* x, int64_t d, const float* panel, const float* bias, int32_t first_word, float* best,
                 int32_t* arg) {
  __m256 acc[R][2];
  quarter_panel<R>(x, d, panel, bias, acc);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    const __m256 top = _mm256_max_ps(acc[r][0], acc[r][1]);
    if (!_mm256_movemask_ps(_mm256_cmp_ps(top, _mm256_set1_ps(best[r]), _CMP_GT_OQ))) continue;
    float scores[16];
    _mm256_storeu_ps(scores, acc[r][0]);
    _mm256_storeu_ps(scores + 8, acc[r][1]);
    for (int w = 0; w < 16; ++w) {
      if (scores[w] > best[r]) best[r] = scores[w], arg[r] = first_word + w;
    }
  }
}

template <int R>
void scores_rows(const float* x, int64_t d, const float* panels, const float* bias, int64_t n_panels, float* scores) {
  for (int64_t p = 0; p < 4 * n_panels; ++p) {
    __m256 acc[R][2];
    quarter_panel<R>(x, d, panels + (p / 4) * d * kPanel + (p % 4) * 16, bias + p * 16, acc);
    for (int r = 0; r < R; ++r) {
      _mm256_storeu_ps(scores + (r * n_panels * 4 + p) * 16, acc[r][0]);
      _mm256_storeu_ps(scores + (r * n_panels * 4 + p) * 16 + 8, acc[r][1]);
    }
  }
}

}  // namespace

void assign_avx2(const float* x, int64_t n, int64_t d, const float* panels, const float* bias, int64_t n_panels,
                 float* best, int32_t* arg) {
  for (int64_t p = 0; p < 4 * n_panels; ++p) {  // a quarter stays in L1 while all points pass
    const float *panel = panels + (p / 4) * d * kPanel + (p % 4) * 16, *norm = bias + p * 16;
    const int32_t first = static_cast<int32_t>(p * 16);
    int64_t i = 0;
    for (; i + kRows <= n; i += kRows) assign_rows<kRows>(x + i * d, d, panel, norm, first, best + i, arg + i);
    for (; i + 2 <= n; i += 2) assign_rows<2>(x + i * d, d, panel, norm, first, best + i, arg + i);
    for (; i < n; ++i) assign_rows<1>(x + i * d, d, panel, norm, first, best + i, arg + i);
  }
}

void scores_avx2(const float* x, int64_t n, int64_t d, const float* panels, const float* bias, int64_t n_panels,
                 float* scores) {
  const int64_t width = n_panels * kPanel;
  int64_t i = 0;
  for (; i + kRows <= n; i += kRows) {
    scores_rows<kRows>(x + i * d, d, panels, bias, n_panels, scores + i * width);
  }
  for (; i < n; ++i) scores_rows<1>(x + i * d, d, panels, bias, n_panels, scores + i * width);
}

float distance_avx2(const float* x, const float* c, int64_t d) {
  __m256 s0 = _mm256_setzero_ps(), s1 = _mm256_setzero_ps();
  int64_t t = 0;
  for (; t + 16 <= d; t += 16) {
    const __m256 a = _mm256_sub_ps(_mm256_loadu_ps(x + t), _mm256_loadu_ps(c + t));
    const __m256 b = _mm256_sub_ps(_mm256_loadu_ps(x + t + 8), _mm256_loadu_ps(c + t + 8));
    s0 = _mm256_fmadd_ps(a, a, s0);
    s1 = _mm256_fmadd_ps(b, b, s1);
  }
  float lanes[16];
  _mm256_storeu_ps(lanes, s0);
  _mm256_storeu_ps(lanes + 8, s1);
  for (int64_t l = 0; t < d; ++t, ++l) {
    const float diff = x[t] - c[t];
    lanes[l] = __builtin_fmaf(diff, diff, lanes[l]);
  }
  for (int half = 8; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

}  // namespace cbir::kmeans

CBIR_TARGET_END
#endif
