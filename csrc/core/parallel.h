// parallel_for over std::thread. No pool and no OpenMP: nothing survives a fork, nothing clashes with other runtimes.
//
// Work is cut into chunks by the caller, by size and never by thread count, so that results cannot depend on
// `n_threads`: partial results are stored per chunk and added in chunk order.
#pragma once

#include <cstdint>
#include <functional>

namespace cbir {

// Threads this process may use, at least 1.
int available_threads();

// 0 means all this process may use; never more than 1,024.
int resolve_threads(int n_threads);

// Calls body(chunk, thread) once for each chunk in [0, n_chunks), thread < min(resolve_threads(n_threads), n_chunks).
// Chunks are handed out in rising order. The calling thread works too, and asks the interrupt check between its chunks,
// unless it is itself a helper of an outer loop. If a body throws, no further chunk starts, and the exception of the
// lowest chunk that threw leaves this function.
void parallel_for(int64_t n_chunks, int n_threads, const std::function<void(int64_t chunk, int thread)>& body);

// Called between chunks on the calling thread, and expected to throw to stop the loop (Ctrl-C). The binding sets
// it once, at import.
void set_interrupt_check(void (*check)());

}  // namespace cbir
