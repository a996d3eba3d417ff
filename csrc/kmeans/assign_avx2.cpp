// AVX2 rows: 6 points by 16 words in 12 registers, the four quarters of a panel one after the other.
#include "kmeans/kernels.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX2_BEGIN

namespace cbir::kmeans {
namespace {

constexpr int kRows = 6;

// Scores of R points against 16 words: acc[r][h] holds words 8h .. 8h+7 of the quarter.
template <int R>
inline __attribute__((always_inline)) void quarter_panel(const float* x, int64_t stride, int64_t d, const float* panel,
                                                         const float* bias, __m256 (&acc)[R][2]) {
  const __m256 b0 = _mm256_loadu_ps(bias), b1 = _mm256_loadu_ps(bias + 8);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) acc[r][0] = b0, acc[r][1] = b1;
  for (int64_t t = 0; t < d; ++t) {
    const __m256 c0 = _mm256_loadu_ps(panel + t * kPanel), c1 = _mm256_loadu_ps(panel + t * kPanel + 8);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m256 v = _mm256_broadcast_ss(x + r * stride + t);
      acc[r][0] = _mm256_fmadd_ps(v, c0, acc[r][0]);
      acc[r][1] = _mm256_fmadd_ps(v, c1, acc[r][1]);
    }
  }
}

template <int R>
void assign_rows(const float* x, int64_t stride, int64_t d, const float* panel, const float* bias, int32_t first_word,
                 float* best, int32_t* arg) {
  __m256 acc[R][2];
  quarter_panel<R>(x, stride, d, panel, bias, acc);
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
void scores_rows(const float* x, int64_t stride, int64_t d, Panels panels, float* scores) {
  for (int64_t p = 0; p < 4 * panels.n_panels; ++p) {
    __m256 acc[R][2];
    quarter_panel<R>(x, stride, d, panels.words + (p / 4) * d * kPanel + (p % 4) * 16, panels.bias + p * 16, acc);
    for (int r = 0; r < R; ++r) {
      _mm256_storeu_ps(scores + (r * panels.n_panels * 4 + p) * 16, acc[r][0]);
      _mm256_storeu_ps(scores + (r * panels.n_panels * 4 + p) * 16 + 8, acc[r][1]);
    }
  }
}

void assign(Matrix<const float> x, Panels panels, float* best, int32_t* arg) {
  const int64_t n = x.rows, d = x.cols, stride = x.stride;
  for (int64_t p = 0; p < 4 * panels.n_panels; ++p) {  // a quarter stays in L1 while all points pass
    const float *panel = panels.words + (p / 4) * d * kPanel + (p % 4) * 16, *norm = panels.bias + p * 16;
    const int32_t first = static_cast<int32_t>(p * 16);
    int64_t i = 0;
    for (; i + kRows <= n; i += kRows) assign_rows<kRows>(x.row(i), stride, d, panel, norm, first, best + i, arg + i);
    for (; i + 2 <= n; i += 2) assign_rows<2>(x.row(i), stride, d, panel, norm, first, best + i, arg + i);
    for (; i < n; ++i) assign_rows<1>(x.row(i), stride, d, panel, norm, first, best + i, arg + i);
  }
}

void scores(Matrix<const float> x, Panels panels, float* scores) {
  const int64_t width = panels.n_panels * kPanel;
  int64_t i = 0;
  for (; i + kRows <= x.rows; i += kRows) scores_rows<kRows>(x.row(i), x.stride, x.cols, panels, scores + i * width);
  for (; i < x.rows; ++i) scores_rows<1>(x.row(i), x.stride, x.cols, panels, scores + i * width);
}

}  // namespace

const Kernels kAvx2{assign, scores, add_rows_generic};

}  // namespace cbir::kmeans

CBIR_TARGET_END
#endif
