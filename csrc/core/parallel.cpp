#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace cbir {
namespace {

std::atomic<void (*)()> interrupt_check{nullptr};

// A helper thread never asks the interrupt check, not for a loop inside its own either: the check may want a lock (the
// GIL) that only the thread which entered from outside may wait for.
thread_local bool is_helper = false;

// More than any machine's; keeps a wild n_threads from exhausting the system.
constexpr int kMostThreads = 1024;

// The exception of the lowest chunk: with several failures the same one is reported whatever the thread count.
struct FirstError {
  std::mutex mutex;
  std::exception_ptr error;
  int64_t chunk = std::numeric_limits<int64_t>::max();

  void record(int64_t at) {
    std::lock_guard<std::mutex> lock(mutex);
    if (at < chunk) {
      chunk = at;
      error = std::current_exception();
    }
  }
};

}  // namespace

void set_interrupt_check(void (*check)()) { interrupt_check = check; }

int available_threads() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

int resolve_threads(int n_threads) { return n_threads > 0 ? std::min(n_threads, kMostThreads) : available_threads(); }

void parallel_for(int64_t n_chunks, int n_threads, const std::function<void(int64_t, int)>& body) {
  if (n_chunks <= 0) return;
  const int workers = static_cast<int>(std::min<int64_t>(resolve_threads(n_threads), n_chunks));
  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  FirstError first;

  auto work = [&](int thread) {
    while (!stop.load(std::memory_order_relaxed)) {
      const int64_t chunk = next.fetch_add(1);
      if (chunk >= n_chunks) return;
      try {
        if (thread == 0 && !is_helper) {
          if (auto check = interrupt_check.load()) check();
        }
        body(chunk, thread);
      } catch (...) {
        first.record(chunk);
        stop = true;
      }
    }
  };

  std::vector<std::thread> helpers;
  try {
    helpers.reserve(static_cast<size_t>(workers - 1));
    for (int t = 1; t < workers; ++t) {
      helpers.emplace_back([&work, t] {
        is_helper = true;
        work(t);
      });
    }
  } catch (const std::exception&) {
    // The system gives no more threads (system_error) or no memory for one (bad_alloc): those that run do the work, and
    // the result is the same. Leaving here would destroy joinable threads, which ends the process.
  }
  work(0);
  for (auto& helper : helpers) helper.join();
  if (first.error) std::rethrow_exception(first.error);
}

}  // namespace cbir
