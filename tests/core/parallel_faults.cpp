// What test_parallel.py can't bring about from Python: memory that runs out while threads are started, and loops within
// loops. Each case ends with 0, or says what went wrong.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "core/parallel.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
int failing = -1;  // this allocation, counted from when `counting` was set

}  // namespace

void* operator new(size_t size) {
  if (counting && allocations++ == failing) throw std::bad_alloc();
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace {

// Whichever allocation fails, every chunk runs, on the threads that could be started.
int no_memory() {
  for (failing = 0; failing < 12; ++failing) {
    std::vector<std::atomic<int>> runs(64);
    const std::function<void(int64_t, int)> body = [&](int64_t chunk, int) { ++runs[chunk]; };
    allocations = 0;
    counting = true;
    cbir::parallel_for(64, 4, body);
    counting = false;
    for (auto& n : runs) {
      if (n != 1) return std::printf("allocation %d failed: a chunk ran %d times\n", failing, n.load()), 1;
    }
  }
  return 0;
}

std::thread::id entered;
std::atomic<int> asked{0}, asked_elsewhere{0};

void check() {
  ++asked;
  if (std::this_thread::get_id() != entered) ++asked_elsewhere;
}

// The interrupt check is asked by the thread that entered from outside, by no helper.
int nested() {
  entered = std::this_thread::get_id();
  cbir::set_interrupt_check(check);
  std::atomic<int> runs{0};
  cbir::parallel_for(64, 4, [&](int64_t, int) {
    cbir::parallel_for(8, 2, [&](int64_t, int) {
      ++runs;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    });
  });
  if (runs != 64 * 8) return std::printf("%d chunks ran\n", runs.load()), 1;
  if (asked == 0) return std::printf("nobody asked\n"), 1;
  if (asked_elsewhere > 0) return std::printf("helpers asked %d times\n", asked_elsewhere.load()), 1;
  return 0;
}

}  // namespace

int main(int, char** arguments) { return std::strcmp(arguments[1], "nested") == 0 ? nested() : no_memory(); }
