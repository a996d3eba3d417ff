#include "simd/level.h"

#include <atomic>
#include <stdexcept>

namespace cbir::simd {
namespace {

constexpr const char* kNames[kLevels] = {"generic", "avx2", "avx512", "avx512v"};

// __builtin_cpu_supports asks the CPU and, through XGETBV, whether the system saves the wide registers.
Level detect() {
#if CBIR_X86
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return Level::generic;
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))) {
    return Level::avx2;
  }
  if (!(__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512vpopcntdq"))) {
    return Level::avx512;
  }
  return Level::avx512v;
#else
  return Level::generic;
#endif
}

std::atomic<Level>& current() {
  static std::atomic<Level> level{detect()};
  return level;
}

}  // namespace

const char* name(Level level) { return kNames[static_cast<int>(level)]; }

std::vector<Level> available() {
  std::vector<Level> levels;
  for (int i = 0; i <= static_cast<int>(detect()); ++i) levels.push_back(static_cast<Level>(i));
  return levels;
}

Level level() { return current().load(std::memory_order_relaxed); }

void set_level(const std::string& wanted) {
  const auto levels = available();
  std::string offered;
  for (Level l : levels) {
    if (wanted == name(l)) {
      current() = l;
      return;
    }
    offered += std::string(offered.empty() ? "" : ", ") + name(l);
  }
  for (const char* known : kNames) {
    if (wanted == known) {
      throw std::invalid_argument("SIMD level '" + wanted + "' is not offered by this CPU; it has " + offered);
    }
  }
  throw std::invalid_argument("unknown SIMD level '" + wanted + "'; this CPU has " + offered);
}

}  // namespace cbir::simd
