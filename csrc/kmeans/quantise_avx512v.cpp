// Points to 8 bits, eight at a time. See filter.h.
#include <algorithm>

#include "kmeans/across.h"
#include "kmeans/filter.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX512V_BEGIN

namespace cbir::kmeans {
namespace {

// Points that are fetched before they are needed: into L1, and into L2.
constexpr int64_t kAhead = 8, kFarAhead = 24;

// Sixteen coordinates relative to the mean.
inline __m512 centred(const float* row, const float* mean) {
  return _mm512_sub_ps(_mm512_loadu_ps(row), _mm512_loadu_ps(mean));
}

inline __m512 centred(const float* row, const float* mean, __mmask16 in) {
  return _mm512_sub_ps(_mm512_maskz_loadu_ps(in, row), _mm512_maskz_loadu_ps(in, mean));
}

constexpr int kLargestMagnitude = 0b1011;  // of two operands, without its sign

__m512 largest_coordinates(const float* row, const float* mean, int64_t d) {
  __m512 largest = _mm512_setzero_ps();
  int64_t t = 0;
  for (; t + 16 <= d; t += 16) {
    largest = _mm512_range_ps(centred(row + t, mean + t), largest, kLargestMagnitude);
  }
  if (t < d)
    largest = _mm512_range_ps(centred(row + t, mean + t, simd::first_lanes(d - t)), largest, kLargestMagnitude);
  return largest;
}

// Rounds 16 numbers (in steps), adding up the squares of what is lost.
inline __m512i rounded(__m512 v, __m512& lost) {
  const __m512i q = _mm512_cvtps_epi32(v);
  const __m512 missed = _mm512_sub_ps(v, _mm512_cvtepi32_ps(q));
  lost = _mm512_fmadd_ps(missed, missed, lost);
  return q;
}

// kept and lost: squares of the codes, and of what the rounding took away (in steps).
void round_row(const float* row, int64_t stride, const float* mean, int64_t d, int64_t width, float inverse_step,
               uint8_t* code, __m512i& kept, __m512& lost) {
  const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512 inverse = _mm512_set1_ps(inverse_step);
  kept = _mm512_setzero_si512();
  lost = _mm512_setzero_ps();
  int64_t t = 0;
  for (; t + 64 <= d; t += 64) {
    __m512i q[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const int64_t at = t + 16 * j;
      _mm_prefetch(row + at + kAhead * stride, _MM_HINT_T0);
      _mm_prefetch(row + at + kFarAhead * stride, _MM_HINT_T1);
      q[j] = rounded(_mm512_mul_ps(centred(row + at, mean + at), inverse), lost);
    }
    const __m512i packed = _mm512_packs_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
    const __m512i size = _mm512_abs_epi8(packed);
    kept = _mm512_dpbusd_epi32(kept, size, size);
    const __m512i u = _mm512_xor_si512(_mm512_permutexvar_epi32(in_order, packed), _mm512_set1_epi8(-128));
    _mm512_storeu_si512(code + t, u);
  }
  for (; t < width; t += 16) {
    const __m512i q = rounded(_mm512_mul_ps(centred(row + t, mean + t, simd::first_lanes(d - t)), inverse), lost);
    kept = _mm512_add_epi32(kept, _mm512_mullo_epi32(q, q));
    _mm512_mask_cvtepi32_storeu_epi8(code + t, simd::first_lanes(width - t),
                                     _mm512_add_epi32(q, _mm512_set1_epi32(128)));
  }
}

}  // namespace

void quantise_avx512v(Matrix<const float> x, const FilterWords& words, Narrowed& points) {
  const int64_t n = x.rows, d = x.cols;
  const float* mean = words.mean.data();
  const int64_t width = words.groups * 4;
  const __m256 least_step = _mm256_set1_ps(std::max(words.least_step, 1e-32f));
  for (int64_t i = 0; i < n; i += 8) {
    const int64_t rows = std::min<int64_t>(8, n - i);
    const __mmask8 there = static_cast<__mmask8>((1u << rows) - 1);
    __m256 part[8], other[8];
    for (int64_t r = 0; r < 8; ++r) {
      const __m512 largest = largest_coordinates(x.row(i + std::min(r, rows - 1)), mean, d);
      part[r] = halved(largest, Larger());
    }
    const __m256 peak = across(part, Larger());
    const __m256 step = _mm256_max_ps(_mm256_mul_ps(peak, _mm256_set1_ps(1 / 127.0f)), least_step);
    const __m256 inverse = _mm256_div_ps(_mm256_set1_ps(1), step);
    alignas(32) float inverses[8];
    _mm256_store_ps(inverses, inverse);
    for (int64_t r = 0; r < 8; ++r) {
      const int64_t row = i + std::min(r, rows - 1);
      __m512i kept;
      __m512 lost;
      round_row(x.row(row), x.stride, mean, d, width, inverses[r], points.codes.data() + row * width, kept, lost);
      part[r] = halved(_mm512_cvtepi32_ps(kept), Sum());
      other[r] = halved(lost, Sum());
    }
    const __m256 norm = _mm256_mul_ps(_mm256_sqrt_ps(across(part, Sum())), step);
    const __m256 missed = _mm256_mul_ps(_mm256_sqrt_ps(across(other, Sum())), step);
    // The rounding of x - mean and of its quotient is part of the error: a few units of the point's own norm.
    const __m256 error = _mm256_fmadd_ps(norm, _mm256_set1_ps(1e-6f), missed);
    const __m256 units = _mm256_mul_ps(inverse, _mm256_set1_ps(words.inverse_step));
    __m256 margin = _mm256_fmadd_ps(norm, _mm256_set1_ps(words.bound.per_norm), _mm256_set1_ps(words.bound.per_unit));
    margin = _mm256_fmadd_ps(error, _mm256_set1_ps(words.bound.per_error), margin);
    margin = _mm256_fmadd_ps(margin, units, _mm256_set1_ps(words.bound.per_point));
    const __mmask8 sound = _mm256_cmp_ps_mask(margin, _mm256_set1_ps(1 << 28), _CMP_LT_OQ);
    const __m256i whole = _mm256_mask_cvttps_epi32(_mm256_set1_epi32(-1), sound, margin);
    _mm256_mask_storeu_ps(points.units.data() + i, there, units);
    _mm256_mask_storeu_ps(points.length.data() + i, there, _mm256_add_ps(norm, error));
    _mm256_mask_storeu_epi32(points.margin.data() + i, there, whole);
  }
}

}  // namespace cbir::kmeans

CBIR_TARGET_END
#endif
