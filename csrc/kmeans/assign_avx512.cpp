// AVX-512 rows: 12 points by 32 words in 24 registers, the argmax kept beside them; no n x k matrix is ever written.
// Per step of t: 2 loads of the panel, 12 broadcasts, 24 fused multiply-adds.
#include "kmeans/kernels.h"

#if defined(__x86_64__)

// GCC 12 warns of its own header (PR105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <cmath>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")

namespace cbir::kmeans {
namespace {

constexpr int kRows = 12;
constexpr int64_t kAhead = 24;  // steps of t that a panel is fetched from L2 before it is needed

// Scores of R points against one panel: acc[r][h] holds words 16h .. 16h+15.
template <int R>
inline __attribute__((always_inline)) void panel_scores(const float* x, int64_t d, const float* panel,
                                                        const float* bias, __m512 (&acc)[R][2]) {
  const __m512 b0 = _mm512_loadu_ps(bias), b1 = _mm512_loadu_ps(bias + 16);
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) acc[r][0] = b0, acc[r][1] = b1;
  for (int64_t t = 0; t < d; ++t) {
    const __m512 c0 = _mm512_loadu_ps(panel + t * kPanel), c1 = _mm512_loadu_ps(panel + t * kPanel + 16);
    _mm_prefetch(panel + (t + kAhead) * kPanel, _MM_HINT_T0);
    _mm_prefetch(panel + (t + kAhead) * kPanel + 16, _MM_HINT_T0);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const __m512 v = _mm512_set1_ps(x[r * d + t]);
      acc[r][0] = _mm512_fmadd_ps(v, c0, acc[r][0]);
      acc[r][1] = _mm512_fmadd_ps(v, c1, acc[r][1]);
    }
  }
}

template <int R>
void assign_rows(const float* x, int64_t d, const float* panels, const float* bias, int64_t n_panels,
                 int32_t first_word, float* best, int32_t* arg) {
  __m512 top[R][2];
  __m512i at[R][2];
  for (int r = 0; r < R; ++r) {
    for (int h = 0; h < 2; ++h) top[r][h] = _mm512_set1_ps(-INFINITY), at[r][h] = _mm512_setzero_si512();
  }
  for (int64_t p = 0; p < n_panels; ++p) {
    __m512 acc[R][2];
    panel_scores<R>(x, d, panels + p * d * kPanel, bias + p * kPanel, acc);
    const __m512i word = _mm512_set1_epi32(static_cast<int>(p * kPanel));
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      for (int h = 0; h < 2; ++h) {
        const __mmask16 larger = _mm512_cmp_ps_mask(acc[r][h], top[r][h], _CMP_GT_OQ);
        top[r][h] = _mm512_mask_mov_ps(top[r][h], larger, acc[r][h]);
        at[r][h] = _mm512_mask_mov_epi32(at[r][h], larger, word);
      }
    }
  }
  // Over the lanes: the largest value, and the lowest word that has it.
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int r = 0; r < R; ++r) {
    const float value = _mm512_reduce_max_ps(_mm512_max_ps(top[r][0], top[r][1]));
    if (!(value > best[r])) continue;
    const __m512 v = _mm512_set1_ps(value);
    const __m512i none = _mm512_set1_epi32(INT32_MAX);
    const __m512i w0 = _mm512_mask_add_epi32(none, _mm512_cmp_ps_mask(top[r][0], v, _CMP_EQ_OQ), at[r][0], lane);
    const __m512i w1 = _mm512_mask_add_epi32(none, _mm512_cmp_ps_mask(top[r][1], v, _CMP_EQ_OQ), at[r][1],
                                             _mm512_add_epi32(lane, _mm512_set1_epi32(16)));
    best[r] = value;
    arg[r] = first_word + _mm512_reduce_min_epi32(_mm512_min_epi32(w0, w1));
  }
}

template <int R>
void scores_rows(const float* x, int64_t d, const float* panels, const float* bias, int64_t n_panels, float* scores) {
  for (int64_t p = 0; p < n_panels; ++p) {
    __m512 acc[R][2];
    panel_scores<R>(x, d, panels + p * d * kPanel, bias + p * kPanel, acc);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      _mm512_storeu_ps(scores + (r * n_panels + p) * kPanel, acc[r][0]);
      _mm512_storeu_ps(scores + (r * n_panels + p) * kPanel + 16, acc[r][1]);
    }
  }
}

}  // namespace

void assign_avx512(const float* x, int64_t n, int64_t d, const float* panels, const float* bias, int64_t n_panels,
                   int32_t first_word, float* best, int32_t* arg) {
  int64_t i = 0;
  for (; i + kRows <= n; i += kRows) {
    assign_rows<kRows>(x + i * d, d, panels, bias, n_panels, first_word, best + i, arg + i);
  }
  for (; i + 4 <= n; i += 4) assign_rows<4>(x + i * d, d, panels, bias, n_panels, first_word, best + i, arg + i);
  for (; i < n; ++i) assign_rows<1>(x + i * d, d, panels, bias, n_panels, first_word, best + i, arg + i);
}

void scores_avx512(const float* x, int64_t n, int64_t d, const float* panels, const float* bias, int64_t n_panels,
                   float* scores) {
  const int64_t width = n_panels * kPanel;
  int64_t i = 0;
  for (; i + kRows <= n; i += kRows) {
    scores_rows<kRows>(x + i * d, d, panels, bias, n_panels, scores + i * width);
  }
  for (; i < n; ++i) scores_rows<1>(x + i * d, d, panels, bias, n_panels, scores + i * width);
}

void add_rows_avx512(const float* x, int64_t d, const int32_t* rows, int64_t n_rows, double* sums) {
  for (int64_t i = 0; i < n_rows; ++i) {
    const float* row = x + rows[i] * d;
    if (i + 4 < n_rows) {
      for (int64_t t = 0; t < d; t += 16) _mm_prefetch(x + rows[i + 4] * d + t, _MM_HINT_T0);
    }
    int64_t t = 0;
    for (; t + 8 <= d; t += 8) {
      const __m512d s = _mm512_add_pd(_mm512_loadu_pd(sums + t), _mm512_cvtps_pd(_mm256_loadu_ps(row + t)));
      _mm512_storeu_pd(sums + t, s);
    }
    for (; t < d; ++t) sums[t] += static_cast<double>(row[t]);
  }
}

float distance_avx512(const float* x, const float* c, int64_t d) {
  __m512 s = _mm512_setzero_ps();
  int64_t t = 0;
  for (; t + 16 <= d; t += 16) {
    const __m512 diff = _mm512_sub_ps(_mm512_loadu_ps(x + t), _mm512_loadu_ps(c + t));
    s = _mm512_fmadd_ps(diff, diff, s);
  }
  if (t < d) {
    const __mmask16 rest = static_cast<__mmask16>((1u << (d - t)) - 1);
    const __m512 diff = _mm512_sub_ps(_mm512_maskz_loadu_ps(rest, x + t), _mm512_maskz_loadu_ps(rest, c + t));
    s = _mm512_fmadd_ps(diff, diff, s);
  }
  const __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}

}  // namespace cbir::kmeans

#pragma GCC pop_options
#endif
