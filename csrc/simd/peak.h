// How many float32 operations a core can do at a level: what a kernel's speed is measured against.
#pragma once

#include <cstdint>

#include "simd/level.h"

namespace cbir::simd {

// Runs independent multiply-adds held in registers, `n` rounds, and returns how many operations that was (a
// multiply-add is two). `generic` multiplies and adds apart, four lanes wide, as the kernels of that level do.
using PeakFn = double (*)(int64_t n);

double peak_generic(int64_t n);
double peak_avx2(int64_t n);
double peak_avx512(int64_t n);

#if defined(__x86_64__)
inline constexpr Table<PeakFn> kPeak{peak_generic, peak_avx2, peak_avx512, nullptr};
#else
inline constexpr Table<PeakFn> kPeak{peak_generic, nullptr, nullptr, nullptr};
#endif

// Runs no-ops, `n` rounds, and returns how many they were. Nothing but the core's front end limits their rate: it falls
// to about a half while another hardware thread shares the core.
double no_ops(int64_t n);

}  // namespace cbir::simd
