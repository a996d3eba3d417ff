// How fast a core can be at all: what a kernel's speed is measured against. Compiled and loaded by _peak.py.
#include <cstdint>

#include "simd/x86.h"

// Each runs independent multiply-adds held in registers, `n` rounds, and returns how many operations that was (a
// multiply-add is two). Volatile ends keep the work from being dropped; starting values are all different, or the
// compiler keeps one.
extern "C" double peak_generic(int64_t n) {
  constexpr int kLanes = 32;  // 8 x 4 independent lanes, of which the compiler makes baseline vectors
  volatile float start = 1.0f;
  const float factor = start * 0.999f, term = start * 0.001f;
  float acc[kLanes];
  for (int l = 0; l < kLanes; ++l) acc[l] = start + 0.01f * l;
  for (int64_t i = 0; i < n; ++i) {
    for (int l = 0; l < kLanes; ++l) acc[l] = acc[l] * factor + term;  // multiplied and added apart, as kernels here do
  }
  float sum = 0;
  for (float a : acc) sum += a;
  start = sum;
  return 2.0 * kLanes * static_cast<double>(n);
}

// Runs no-ops, `n` rounds, and returns how many they were. Nothing but the core's front end limits their rate: it falls
// to about a half while another hardware thread shares the core.
extern "C" double no_ops(int64_t n) {
  constexpr int kPerRound = 32;
  for (int64_t i = 0; i < n; ++i) asm volatile(".rept 32\n nop\n .endr");
  return static_cast<double>(kPerRound) * static_cast<double>(n);
}

#if CBIR_X86

CBIR_AVX2_BEGIN

extern "C" double peak_avx2(int64_t n) {
  constexpr int kRegisters = 12;  // more than latency times ports, so that no multiply-add waits for another
  volatile float start = 1.0f;
  const __m256 factor = _mm256_set1_ps(start * 0.999f), term = _mm256_set1_ps(start * 0.001f);
  __m256 acc[kRegisters];
#pragma GCC unroll 12
  for (int r = 0; r < kRegisters; ++r) acc[r] = _mm256_set1_ps(start + 0.01f * r);
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int r = 0; r < kRegisters; ++r) acc[r] = _mm256_fmadd_ps(acc[r], factor, term);
  }
  __m256 sum = acc[0];
#pragma GCC unroll 12
  for (int r = 1; r < kRegisters; ++r) sum = _mm256_add_ps(sum, acc[r]);
  float lanes[8];
  _mm256_storeu_ps(lanes, sum);
  start = lanes[0];
  return 2.0 * 8 * kRegisters * static_cast<double>(n);
}

CBIR_TARGET_END
CBIR_AVX512_BEGIN

extern "C" double peak_avx512(int64_t n) {
  constexpr int kRegisters = 24;
  volatile float start = 1.0f;
  const __m512 factor = _mm512_set1_ps(start * 0.999f), term = _mm512_set1_ps(start * 0.001f);
  __m512 acc[kRegisters];
#pragma GCC unroll 24
  for (int r = 0; r < kRegisters; ++r) acc[r] = _mm512_set1_ps(start + 0.01f * r);
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 24
    for (int r = 0; r < kRegisters; ++r) acc[r] = _mm512_fmadd_ps(acc[r], factor, term);
  }
  __m512 sum = acc[0];
#pragma GCC unroll 24
  for (int r = 1; r < kRegisters; ++r) sum = _mm512_add_ps(sum, acc[r]);
  float lanes[16];
  _mm512_storeu_ps(lanes, sum);
  start = lanes[0];
  return 2.0 * 16 * kRegisters * static_cast<double>(n);
}

CBIR_TARGET_END
#endif
