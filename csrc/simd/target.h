// Compiles what stands between the two marks for a SIMD level, in a file whose other functions keep the ABI floor.
// All headers are included before: an inline function of the standard library that was compiled in between could be the
// copy that the linker keeps for everybody.
#pragma once

#define CBIR_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define CBIR_TARGET_BEGIN(features) \
  CBIR_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define CBIR_TARGET_END _Pragma("clang attribute pop")
#else
#define CBIR_TARGET_BEGIN(features) _Pragma("GCC push_options") CBIR_PRAGMA(GCC target(features))
#define CBIR_TARGET_END _Pragma("GCC pop_options")
#endif
