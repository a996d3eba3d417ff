// The 8-bit filter with VNNI: 6 points by 64 words, 4 dimensions an instruction. See filter.h.
#include "kmeans/filter.h"
#include "kmeans/kernels.h"
#include "simd/target.h"

#if defined(__x86_64__)

// GCC 12 warns of its own header (PR105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <cmath>

CBIR_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx2,fma")

namespace cbir::kmeans {
namespace {

constexpr int kRows = 6;
constexpr int kVectors = kPanel / 16;
constexpr int64_t kAhead = 8;  // points that are fetched before they are needed
constexpr int64_t kStrip = 4;  // panels that stay in L1 while all points pass: 32 KiB at d = 128

using Word32 __attribute__((may_alias, aligned(1))) = int32_t;

// sum(a) and sum(b), sharing the shuffles.
inline __m128 sums_of(__m512 a, __m512 b) {
  __m512 s = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));  // a: low half, b: high
  s = _mm512_add_ps(s, _mm512_shuffle_f32x4(s, s, 0xB1));
  const __m128 pair = _mm_unpacklo_ps(_mm512_castps512_ps128(s), _mm512_extractf32x4_ps(s, 2));
  const __m128 rest = _mm_unpackhi_ps(_mm512_castps512_ps128(s), _mm512_extractf32x4_ps(s, 2));
  const __m128 both = _mm_add_ps(pair, rest);  // a, b, a, b
  return _mm_add_ps(both, _mm_movehl_ps(both, both));
}

void quantise(const float* x, int64_t n, int64_t d, int64_t groups, const float* mean, uint8_t* codes,
              CodeFacts* facts) {
  const __m512i offset = _mm512_set1_epi32(128);
  for (int64_t i = 0; i < n; ++i) {
    const float* row = x + i * d;
    uint8_t* code = codes + i * groups * 4;
    __m512 largest = _mm512_setzero_ps();
    for (int64_t t = 0; t < d; t += 16) {
      const __mmask16 in = d - t >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << (d - t)) - 1);
      _mm_prefetch(row + t + kAhead * d, _MM_HINT_T0);
      const __m512 v = _mm512_sub_ps(_mm512_maskz_loadu_ps(in, row + t), _mm512_maskz_loadu_ps(in, mean + t));
      largest = _mm512_max_ps(_mm512_abs_ps(v), largest);
    }
    const float peak = _mm512_reduce_max_ps(largest);
    const bool tiny = !(peak > 1e-30f);  // 127 / peak would overflow: all codes 0, and the error says so
    const float step = tiny ? 0.0f : peak / 127;
    const __m512 inverse = _mm512_set1_ps(tiny ? 0.0f : 127 / peak), steps = _mm512_set1_ps(step);
    __m512 error = _mm512_setzero_ps(), norm = _mm512_setzero_ps();
    for (int64_t t = 0; t < groups * 4; t += 16) {
      const __mmask16 in = d - t >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << (d - t)) - 1);
      const __mmask16 out = groups * 4 - t >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << (groups * 4 - t)) - 1);
      const __m512 v = _mm512_sub_ps(_mm512_maskz_loadu_ps(in, row + t), _mm512_maskz_loadu_ps(in, mean + t));
      const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(v, inverse));
      const __m512 back = _mm512_mul_ps(_mm512_cvtepi32_ps(q), steps), missed = _mm512_sub_ps(v, back);
      error = _mm512_fmadd_ps(missed, missed, error);
      norm = _mm512_fmadd_ps(back, back, norm);
      _mm512_mask_cvtepi32_storeu_epi8(code + t, out, _mm512_add_epi32(q, offset));
    }
    const __m128 roots = _mm_sqrt_ps(sums_of(error, norm));
    const float code_norm = _mm_cvtss_f32(_mm_shuffle_ps(roots, roots, 1));
    // The rounding of x - mean and of a u is part of the error: a few units of the point's own norm.
    facts[i] = {step, _mm_cvtss_f32(roots) + 1e-6f * code_norm, code_norm};
  }
}

// acc += u8 x s8 products, four to a lane. Written out because GCC 12 copies and spills all 24 accumulators of a block
// around _mm512_dpbusd_epi32, which made the whole assignment take 1.6 times as long.
inline __attribute__((always_inline)) void multiply_add(__m512i& acc, __m512i u, __m512i s) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
}

// scores (R, kStrip * kPanel) of R points against `n_panels` panels.
template <int R>
void strip_scores(const uint8_t* codes, const CodeFacts* facts, int64_t groups, const int8_t* panels,
                  const int32_t* start, const float* scale, const float* bias, int64_t n_panels, float* scores) {
  for (int64_t p = 0; p < n_panels; ++p) {
    const int8_t* panel = panels + p * groups * kPanel * 4;
    __m512i acc[R][kVectors];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int h = 0; h < kVectors; ++h) acc[r][h] = _mm512_loadu_si512(start + p * kPanel + 16 * h);
    }
#pragma GCC unroll 2
    for (int64_t g = 0; g < groups; ++g) {
      __m512i c[kVectors];
#pragma GCC unroll 4
      for (int h = 0; h < kVectors; ++h) c[h] = _mm512_loadu_si512(panel + (g * kPanel + 16 * h) * 4);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const __m512i v = _mm512_set1_epi32(*reinterpret_cast<const Word32*>(codes + (r * groups + g) * 4));
#pragma GCC unroll 4
        for (int h = 0; h < kVectors; ++h) multiply_add(acc[r][h], v, c[h]);
      }
    }
#pragma GCC unroll 4
    for (int h = 0; h < kVectors; ++h) {
      const int64_t at = p * kPanel + 16 * h;
      const __m512 scales = _mm512_loadu_ps(scale + at), norms = _mm512_loadu_ps(bias + at);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[r][h]), scales);
        _mm512_storeu_ps(scores + r * kStrip * kPanel + at,
                         _mm512_fmadd_ps(value, _mm512_set1_ps(facts[r].step), norms));
      }
    }
  }
}

// Drops what the best score has overtaken since; false where too many are left still.
bool make_room(int32_t* words, float* scores, int32_t& count, float threshold) {
  int32_t kept = 0;
  for (int32_t j = 0; j < count; ++j) {
    if (scores[j] >= threshold) words[kept] = words[j], scores[kept++] = scores[j];
  }
  count = kept;
  return kept + 16 <= kMaxLeft;
}

// Takes up the words of a strip that are within the margin of the best score of point i.
void take_up(const float* scores, int64_t width, int32_t first_word, int64_t i, Left& left) {
  int32_t& count = left.count[i];
  if (count < 0) return;
  __m512 m0 = _mm512_loadu_ps(scores), m1 = _mm512_loadu_ps(scores + 16);
  for (int64_t w = 32; w < width; w += 32) {
    m0 = _mm512_max_ps(m0, _mm512_loadu_ps(scores + w));
    m1 = _mm512_max_ps(m1, _mm512_loadu_ps(scores + w + 16));
  }
  const float highest = _mm512_reduce_max_ps(_mm512_max_ps(m0, m1));
  if (highest > left.best[i]) left.best[i] = highest;
  const float threshold = left.best[i] - left.margin[i];
  if (highest < threshold) return;
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  int32_t* words = left.words.data() + i * kMaxLeft;
  float* kept = left.scores.data() + i * kMaxLeft;
  for (int64_t w = 0; w < width; w += 16) {
    const __m512 s = _mm512_loadu_ps(scores + w);
    const __mmask16 near = _mm512_cmp_ps_mask(s, _mm512_set1_ps(threshold), _CMP_GE_OQ);
    if (!near) continue;
    if (count + 16 > kMaxLeft && !make_room(words, kept, count, threshold)) {
      count = -1;
      return;
    }
    const __m512i id = _mm512_add_epi32(lane, _mm512_set1_epi32(first_word + static_cast<int32_t>(w)));
    _mm512_mask_compressstoreu_epi32(words + count, near, id);
    _mm512_mask_compressstoreu_ps(kept + count, near, s);
    count += __builtin_popcount(near);
  }
}

void scan(const uint8_t* codes, const CodeFacts* facts, int64_t n, const FilterWords& words, Left& left) {
  alignas(64) float scores[kRows * kStrip * kPanel];
  const int64_t groups = words.groups;
  for (int64_t p = 0; p < words.n_panels; p += kStrip) {
    const int64_t n_panels = words.n_panels - p < kStrip ? words.n_panels - p : kStrip;
    const int8_t* panels = words.panels.data() + p * groups * kPanel * 4;
    const int32_t* start = words.start.data() + p * kPanel;
    const float *scale = words.scale.data() + p * kPanel, *bias = words.bias.data() + p * kPanel;
    for (int64_t i = 0; i < n;) {
      const uint8_t* code = codes + i * groups * 4;
      const int rows = n - i >= kRows ? kRows : n - i >= 2 ? 2 : 1;
      if (rows == kRows) {
        strip_scores<kRows>(code, facts + i, groups, panels, start, scale, bias, n_panels, scores);
      } else if (rows == 2) {
        strip_scores<2>(code, facts + i, groups, panels, start, scale, bias, n_panels, scores);
      } else {
        strip_scores<1>(code, facts + i, groups, panels, start, scale, bias, n_panels, scores);
      }
      for (int r = 0; r < rows; ++r) {
        take_up(scores + r * kStrip * kPanel, n_panels * kPanel, static_cast<int32_t>(p * kPanel), i + r, left);
      }
      i += rows;
    }
  }
}

float dot(const float* x, const float* c, int64_t d) {
  __m512 s0 = _mm512_setzero_ps(), s1 = _mm512_setzero_ps();
  int64_t t = 0;
  for (; t + 32 <= d; t += 32) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(x + t), _mm512_loadu_ps(c + t), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(x + t + 16), _mm512_loadu_ps(c + t + 16), s1);
  }
  for (; t < d; t += 16) {
    const __mmask16 in = d - t >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << (d - t)) - 1);
    s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(in, x + t), _mm512_maskz_loadu_ps(in, c + t), s0);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

// The plain kernel's score, addition by addition.
float score_in_order(const float* x, const float* c, float bias, int64_t d) {
  float acc = bias;
  for (int64_t t = 0; t < d; ++t) acc = __builtin_fmaf(x[t], c[t], acc);
  return acc;
}

int32_t settle(const float* x, Matrix<const float> centroids, const float* bias, const int32_t* words, int64_t count,
               float rounding) {
  const int64_t d = centroids.cols;
  for (int64_t j = 1; j < count; ++j) _mm_prefetch(centroids.row(words[j]), _MM_HINT_T0);
  float scores[kMaxLeft];
  int64_t best = 0;
  for (int64_t j = 0; j < count; ++j) {
    scores[j] = dot(x, centroids.row(words[j]), d) + bias[words[j]];
    if (scores[j] > scores[best]) best = j;
  }
  // Both scores here and both of the plain kernel are off by at most `rounding`.
  const float near = scores[best] - 4.001f * rounding;
  int64_t close = 0;
  for (int64_t j = 0; j < count; ++j) close += scores[j] >= near;
  if (close == 1) return words[best];
  float highest = -INFINITY;
  int32_t word = words[best];
  for (int64_t j = 0; j < count; ++j) {
    if (!(scores[j] >= near)) continue;
    const float s = score_in_order(x, centroids.row(words[j]), bias[words[j]], d);
    if (s > highest) highest = s, word = words[j];
  }
  return word;
}

constexpr FilterKernels kKernels{quantise, scan, settle};

}  // namespace

const FilterKernels* filter_avx512v() { return &kKernels; }

}  // namespace cbir::kmeans

CBIR_TARGET_END
#endif
