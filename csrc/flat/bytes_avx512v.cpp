#include "core/bytes.h"
#include "flat/bytes.h"
#include "simd/x86.h"

#if CBIR_X86

#include <cstring>

CBIR_AVX512V_BEGIN

namespace cbir::flat {
namespace {

static_assert(kByteRows == bytes::kPanel && kByteQueries == bytes::kRows);

constexpr float kUp = 1.0001f;  // more than the rounding of the sums below can take away

}  // namespace

void byte_code_avx512v(const float* x, int64_t d, int at, uint8_t* codes, ByteRow* row) {
  __m512 low = _mm512_set1_ps(x[0]), high = low, total = _mm512_setzero_ps();
  for (int64_t t = 0; t < d; t += 16) {
    const __mmask16 m = simd::first_lanes(d - t);
    const __m512 v = _mm512_maskz_loadu_ps(m, x + t);
    low = _mm512_mask_min_ps(low, m, low, v);
    high = _mm512_mask_max_ps(high, m, high, v);
    total = _mm512_add_ps(total, v);
  }
  const float least = _mm512_reduce_min_ps(low), most = _mm512_reduce_max_ps(high);
  const float sum = _mm512_reduce_add_ps(total), mean = sum / static_cast<float>(d);
  const float middle = 0.5f * least + 0.5f * most, step = (0.5f * most - 0.5f * least) / 127.0f;
  const float inverse = step > 1e-30f ? 1.0f / step : 0.0f;
  const __m512 middles = _mm512_set1_ps(middle), steps = _mm512_set1_ps(step), means = _mm512_set1_ps(mean);
  const __m512 inverses = _mm512_set1_ps(inverse);
  const __m512i top = _mm512_set1_epi32(127), bottom = _mm512_set1_epi32(-127), flip = _mm512_set1_epi32(128);
  __m512 rest = _mm512_setzero_ps(), centred = _mm512_setzero_ps();
  for (int64_t t = 0; t < d; t += 16) {
    const __mmask16 m = simd::first_lanes(d - t);
    const __m512 v = _mm512_maskz_loadu_ps(m, x + t);
    __m512i c = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_sub_ps(v, middles), inverses));
    c = _mm512_max_epi32(_mm512_min_epi32(c, top), bottom);
    const __m512 r = _mm512_sub_ps(v, _mm512_fmadd_ps(steps, _mm512_cvtepi32_ps(c), middles));
    const __m512 v0 = _mm512_sub_ps(v, means);
    rest = _mm512_mask3_fmadd_ps(r, r, rest, m);
    centred = _mm512_mask3_fmadd_ps(v0, v0, centred, m);
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(c, flip));
    uint32_t words[4];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(words), bytes);
    for (int g = 0; g < 4 && t + 4 * g < d; ++g) std::memcpy(codes + (t / 4 + g) * 256 + 4 * at, words + g, 4);
  }
  row->sum = sum;
  row->step = step;
  row->rest = kUp * _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(_mm512_reduce_add_ps(rest))));
  row->centred = kUp * _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(_mm512_reduce_add_ps(centred))));
  row->middle = kUp * (middle > mean ? middle - mean : mean - middle);
}

// The block's codes stay in L1 while all queries pass.
void byte_tile_avx512v(const ByteTile& rows, const ByteQueries& queries, int64_t groups, uint64_t* mask) {
  __m512i sum[kByteQueries][4];
#pragma GCC unroll 6
  for (int q = 0; q < kByteQueries; ++q) {
    sum[q][0] = sum[q][1] = sum[q][2] = sum[q][3] = _mm512_set1_epi32(queries.base[q]);
  }
  bytes::add_products<bytes::Unsigned::panel>(queries.codes, 4 * groups, rows.codes, groups, sum);
#pragma GCC unroll 6
  for (int q = 0; q < kByteQueries; ++q) {
    const __m512 step = _mm512_set1_ps(queries.step[q]), mean = _mm512_set1_ps(queries.mean[q]);
    const __m512 limit = _mm512_set1_ps(queries.limit[q]);
    uint64_t bits = 0;
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) {
      const __m512 known =
          _mm512_fmadd_ps(mean, _mm512_load_ps(rows.sum + 16 * h), _mm512_load_ps(rows.offset + 16 * h));
      const __m512 dot = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[q][h]), _mm512_load_ps(rows.step + 16 * h));
      const uint64_t m = _mm512_cmp_ps_mask(_mm512_fmadd_ps(step, dot, known), limit, _CMP_LE_OQ);
      bits |= m << (16 * h);
    }
    mask[q] = bits;
  }
}

}  // namespace cbir::flat
CBIR_TARGET_END
#endif
