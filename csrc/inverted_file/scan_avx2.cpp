#include <array>

#include "inverted_file/scan.h"
#include "simd/x86.h"

#if CBIR_X86

CBIR_AVX2_BEGIN

namespace cbir::inverted_file {
namespace {

int64_t scan(const float* key, int64_t n, float limit, uint16_t* out) {
  const __m256 bound = _mm256_set1_ps(limit);
  int64_t found = 0;
  for (int64_t i = 0; i < n; i += 16) {
    const int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(key + i), bound, _CMP_LE_OQ));
    const int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(key + i + 8), bound, _CMP_LE_OQ));
    for (unsigned m = static_cast<unsigned>(low | high << 8); m != 0; m &= m - 1) {
      out[found++] = static_cast<uint16_t>(i + __builtin_ctz(m));
    }
  }
  return found;
}

// Where each set bit of a byte finds its weight: byte i of entry m is the number of set bits of m below bit i.
constexpr std::array<uint64_t, 256> places() {
  std::array<uint64_t, 256> table{};
  for (int m = 0; m < 256; ++m) {
    uint64_t below = 0;
    for (int i = 0; i < 8; ++i) {
      table[m] |= below << (8 * i);
      below += m >> i & 1;
    }
  }
  return table;
}
constexpr std::array<uint64_t, 256> kPlaces = places();

// The next weights in the lanes whose bit is set, 0 in the others.
inline __m256 expand(unsigned mask, const float* weights) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i there = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask)), bits), bits);
  const __m256i place = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(kPlaces[mask])));
  return _mm256_and_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(weights), place), _mm256_castsi256_ps(there));
}

template <DenseSum sum>
void add_dense_words(const DenseWord* words, int64_t n, int64_t n_panels, float* key) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  for (const DenseWord* word = words; word < words + n; ++word) {
    const __m256 query = _mm256_set1_ps(word->query_weight), size = _mm256_andnot_ps(sign, query);
    const float* weights = word->weights;
    for (int64_t p = 0; p < n_panels; ++p) {
      uint64_t mask = word->masks[p];
      for (float* at = key + 64 * p; at < key + 64 * p + 64; at += 8, mask >>= 8) {
        const unsigned byte = mask & 0xFF;
        const __m256 x = expand(byte, weights), k = _mm256_loadu_ps(at);
        weights += __builtin_popcount(byte);
        if constexpr (sum == DenseSum::l1) {
          const __m256 difference = _mm256_andnot_ps(sign, _mm256_sub_ps(query, x));
          const __m256 term = _mm256_sub_ps(_mm256_sub_ps(difference, size), _mm256_andnot_ps(sign, x));
          _mm256_storeu_ps(at, _mm256_add_ps(k, term));
        } else {
          const __m256 term = sum == DenseSum::ip ? _mm256_mul_ps(query, x) : _mm256_min_ps(x, query);
          _mm256_storeu_ps(at, _mm256_sub_ps(k, term));
        }
      }
    }
  }
}

}  // namespace

const Kernels kAvx2{scan, add_dense_words<DenseSum::ip>, add_dense_words<DenseSum::intersection>,
                    add_dense_words<DenseSum::l1>};

}  // namespace cbir::inverted_file
CBIR_TARGET_END
#endif
