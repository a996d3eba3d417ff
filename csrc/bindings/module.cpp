// The one extension module. Each concept binds itself in a file of its own; this one lists them.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/parallel.h"
#include "simd/level.h"

namespace py = pybind11;

namespace {

// Called by parallel_for on the calling thread, which has dropped the GIL. Asking Python costs a lock, so not more
// often than every 50 ms.
void throw_on_ctrl_c() {
  using Clock = std::chrono::steady_clock;
  thread_local Clock::time_point last = Clock::now();
  const auto now = Clock::now();
  if (now - last < std::chrono::milliseconds(50)) return;
  last = now;
  py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

std::vector<std::string> simd_levels() {
  std::vector<std::string> names;
  for (auto level : cbir::simd::available()) names.emplace_back(cbir::simd::name(level));
  return names;
}

// For tests/core/test_parallel.py: how often each chunk ran, each taking `ms`; multiples of `failing` throw.
std::vector<int> parallel_probe(int64_t n_chunks, int n_threads, int64_t failing, int ms) {
  std::vector<int> runs(static_cast<size_t>(n_chunks), 0);
  py::gil_scoped_release release;
  cbir::parallel_for(n_chunks, n_threads, [&](int64_t chunk, int) {
    if (failing > 0 && chunk > 0 && chunk % failing == 0) {
      throw std::runtime_error("chunk " + std::to_string(chunk));
    }
    if (ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    ++runs[static_cast<size_t>(chunk)];
  });
  return runs;
}

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#elif defined(__GNUC__)
constexpr const char* kCompiler = "gcc " __VERSION__;
#else
constexpr const char* kCompiler = "unknown";
#endif

}  // namespace

// One line per concept: declare here, call below.
namespace cbir {
void bind_kmeans(py::module_& m);
void bind_vlad(py::module_& m);
void bind_flat(py::module_& m);
void bind_inverted_file(py::module_& m);
}  // namespace cbir

PYBIND11_MODULE(_core, m) {
  m.doc() = "Native kernels of cbir. Exact arrays only; use the Python classes, which check and explain.";
  cbir::set_interrupt_check(throw_on_ctrl_c);
  if (const char* wanted = std::getenv("CBIR_SIMD"); wanted && *wanted) cbir::simd::set_level(wanted);

  m.attr("compiler") = kCompiler;
  m.def("simd_level", [] { return std::string(cbir::simd::name(cbir::simd::level())); }, "Level in use.");
  m.def("simd_levels", &simd_levels, "Levels this machine can run, lowest first.");
  m.def("set_simd_level", &cbir::simd::set_level, py::arg("level"), "Choose a level that this machine has.");
  m.def("available_threads", &cbir::available_threads, "CPUs this process may use.");
  m.def("_parallel_probe", &parallel_probe, py::arg("n_chunks"), py::arg("n_threads"), py::arg("failing"),
        py::arg("ms"), "Exercise parallel_for; for tests.");

  cbir::bind_kmeans(m);
  cbir::bind_vlad(m);

  cbir::bind_flat(m);
  cbir::bind_inverted_file(m);
}
