// AVX-512 rows: 6 points by 64 words in 24 registers; no n x k matrix is ever written. Per step of t: 4 loads of the
// panel, 6 broadcasts, 24 fused multiply-adds. A tile nearly square asks least of the load ports, which a core shares
// with its other hardware thread: 12 by 32 makes 14 loads. A panel stays in L1 while all points pass, and the next one
// is fetched into L2 meanwhile.
#include <algorithm>

#include "kmeans/kernels.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512_BEGIN

namespace cbir::kmeans {
namespace {

constexpr int kRows = 6;
constexpr int kVectors = kPanel / 16;

// Scores of R points against one panel: acc[r][h] holds words 16h .. 16h+15.
template <int R>
inline __attribute__((always_inline)) void panel_scores(const float* x, int64_t stride, int64_t d, const float* panel,
                                                        const float* bias, __m512 (&acc)[R][kVectors]) {
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int h = 0; h < kVectors; ++h) acc[r][h] = _mm512_loadu_ps(bias + 16 * h);
  }
  // d is at least 1: a loop that might not run at all would have its 24 accumulators in two places.
  int64_t t = 0;
  do {
    __m512 c[kVectors];
#pragma GCC unroll 4
    for (int h = 0; h < kVectors; ++h) c[h] = _mm512_loadu_ps(panel + t * kPanel + 16 * h);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m512 v = _mm512_set1_ps(x[r * stride + t]);
#pragma GCC unroll 4
      for (int h = 0; h < kVectors; ++h) acc[r][h] = _mm512_fmadd_ps(v, c[h], acc[r][h]);
    }
  } while (++t < d);
}

// The lowest of the panel's words whose score is `value`; the last one where there is none, which takes a NaN among the
// scores: such a row is refused later.
inline int lowest_of(const __m512 (&score)[kVectors], float value) {
  const __m512 v = _mm512_set1_ps(value);
  uint64_t equal = 0;
#pragma GCC unroll 4
  for (int h = 0; h < kVectors; ++h) {
    equal |= static_cast<uint64_t>(_mm512_cmp_ps_mask(score[h], v, _CMP_EQ_OQ)) << (16 * h);
  }
  return __builtin_ctzll(equal | uint64_t{1} << 63);
}

template <int R>
void assign_rows(const float* x, int64_t stride, int64_t d, const float* panel, const float* bias, int32_t first_word,
                 float* best, int32_t* arg) {
  __m512 acc[R][kVectors];
  panel_scores<R>(x, stride, d, panel, bias, acc);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    const __m512 top = _mm512_max_ps(_mm512_max_ps(acc[r][0], acc[r][1]), _mm512_max_ps(acc[r][2], acc[r][3]));
    if (!_mm512_cmp_ps_mask(top, _mm512_set1_ps(best[r]), _CMP_GT_OQ)) continue;  // most panels: no better word
    best[r] = _mm512_reduce_max_ps(top);
    arg[r] = first_word + lowest_of(acc[r], best[r]);
  }
}

template <int R>
void scores_rows(const float* x, int64_t stride, int64_t d, Panels panels, float* scores) {
  for (int64_t p = 0; p < panels.n_panels; ++p) {
    __m512 acc[R][kVectors];
    panel_scores<R>(x, stride, d, panels.words + p * d * kPanel, panels.bias + p * kPanel, acc);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int h = 0; h < kVectors; ++h) {
        _mm512_storeu_ps(scores + (r * panels.n_panels + p) * kPanel + 16 * h, acc[r][h]);
      }
    }
  }
}

void assign(Matrix<const float> x, Panels panels, float* best, int32_t* arg) {
  const int64_t n = x.rows, d = x.cols, stride = x.stride;
  const int64_t size = d * kPanel, share = ceil_div(size * kRows, n);  // of the next panel, per block of points
  for (int64_t p = 0; p < panels.n_panels; ++p) {
    const float *panel = panels.words + p * size, *next = panel + size, *norm = panels.bias + p * kPanel;
    const float* end = p + 1 < panels.n_panels ? next + size : next;
    const int32_t first = static_cast<int32_t>(p * kPanel);
    int64_t i = 0;
    for (; i + kRows <= n; i += kRows) {
      for (const float* to = std::min(next + share, end); next < to; next += 16) _mm_prefetch(next, _MM_HINT_T1);
      assign_rows<kRows>(x.row(i), stride, d, panel, norm, first, best + i, arg + i);
    }
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

void add_rows(Matrix<const float> x, const int32_t* rows, int64_t n_rows, double* sums) {
  const int64_t d = x.cols;
  for (int64_t i = 0; i < n_rows; ++i) {
    const float *row = x.row(rows[i]), *later = x.row(rows[i + 4]);
    for (int64_t t = 0; t < d; t += 16) _mm_prefetch(later + t, _MM_HINT_T0);
    int64_t t = 0;
    for (; t + 8 <= d; t += 8) {
      const __m512d s = _mm512_add_pd(_mm512_loadu_pd(sums + t), _mm512_cvtps_pd(_mm256_loadu_ps(row + t)));
      _mm512_storeu_pd(sums + t, s);
    }
    for (; t < d; ++t) sums[t] += static_cast<double>(row[t]);
  }
}

}  // namespace

const Kernels kAvx512{assign, scores, add_rows};

}  // namespace cbir::kmeans

CBIR_TARGET_END
#endif
