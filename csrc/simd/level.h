// SIMD levels: which the CPU and the system offer, which is in use, and how a kernel is picked.
//
// Every kernel has one row per level in a table made by its own folder; `generic` is always there, plain and correct.
// A row is a struct of function pointers (vlad/vlad.h is the model), picked once per call, outside loops:
//
//   constexpr simd::Table<const Kernels*> kTable{&kGeneric, CBIR_X86_ROWS(&kAvx2, &kAvx512, nullptr)};
//   const Kernels& kernels = *simd::pick(kTable);
#pragma once

#include <array>
#include <string>
#include <vector>

// Whether the files of x86 levels are compiled. Their intrinsics and attributes are those of GCC and clang.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define CBIR_X86 1
#define CBIR_X86_ROWS(avx2, avx512, avx512v) avx2, avx512, avx512v
#else
#define CBIR_X86 0
#define CBIR_X86_ROWS(avx2, avx512, avx512v) nullptr, nullptr, nullptr
#endif

namespace cbir::simd {

enum class Level { generic = 0, avx2 = 1, avx512 = 2, avx512v = 3 };
inline constexpr int kLevels = 4;

// Names as `CBIR_SIMD` and `cbir.set_simd_level` spell them.
const char* name(Level level);

// Levels this machine can run, lowest first.
std::vector<Level> available();

// The level in use. At load it is the best available one; `CBIR_SIMD` is applied by the module's start.
Level level();

// Throws std::invalid_argument for an unknown name or a level that the CPU lacks.
void set_level(const std::string& name);

template <class Fn>
using Table = std::array<Fn, kLevels>;

// The row of the level in use, or the next lower one that the kernel has.
template <class Fn>
Fn pick(const Table<Fn>& table) {
  int i = static_cast<int>(level());
  while (i > 0 && table[i] == nullptr) --i;
  return table[i];
}

}  // namespace cbir::simd
