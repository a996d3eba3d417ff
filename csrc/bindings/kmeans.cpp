// k-means for Python: a packed vocabulary, Lloyd's iterations, seeding.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/kmeans_words.h"
#include "core/parallel.h"
#include "kmeans/kmeans.h"

namespace cbir {
namespace {

py::tuple lloyd(const Array<float>& x, const Array<float>& start, int64_t n_iter, int n_threads,
                const std::optional<py::function>& on_assignment, FirstColumn first_column) {
  const auto first = matrix(start, "start");
  const auto points = first_column ? columns(matrix(x, "x"), *first_column, first.cols) : matrix(x, "x");
  require(first.rows >= 1 && first.cols == points.cols, "start must be (n_words, d) with the d of x");
  require(first.cols >= 1, "x must have at least one column");
  require(points.rows >= first.rows, "x must have at least as many rows as there are words");
  require(n_iter >= 0, "n_iter must not be negative");
  py::array_t<float> centroids({first.rows, first.cols});
  const Matrix<float> out{centroids.mutable_data(), first.rows, first.cols};
  kmeans::LloydResult result;
  std::function<void(int64_t)> told;
  if (on_assignment) {
    told = [&](int64_t done) {
      py::gil_scoped_acquire acquire;
      (*on_assignment)(done);
    };
  }
  {
    py::gil_scoped_release release;
    std::copy(first.data, first.data + first.rows * first.cols, out.data);
    result = kmeans::lloyd(points, out, n_iter, n_threads, told);
  }
  return py::make_tuple(centroids, result.inertia, result.n_repaired);
}

std::vector<int64_t> seed_rows(const Array<float>& x, int64_t n_words, uint64_t seed, int n_threads) {
  const auto points = matrix(x, "x");
  require(n_words >= 1 && n_words <= points.rows, "n_words must be 1 to the number of rows");
  py::gil_scoped_release release;
  return kmeans::seed_rows(points, n_words, seed, n_threads);
}

}  // namespace

void bind_kmeans(py::module_& m) {
  py::class_<KMeansWords>(m, "KMeansWords", "A vocabulary packed for the assignment kernel.")
      .def(py::init<Array<float>>(), py::arg("centroids").noconvert())
      .def("assign", &KMeansWords::assign, py::arg("x").noconvert(), py::arg("n_threads"),
           py::arg("first_column") = py::none(), "Nearest word of each row, (n,) int32; ties go to the lower word.")
      .def("nearest", &KMeansWords::nearest, py::arg("x").noconvert(), py::arg("n_assign"), py::arg("n_threads"),
           py::arg("first_column") = py::none(),
           "Nearest words and squared distances, (n, n_assign) int32 and float32.")
      .def_property_readonly(
          "n_filtered", [](const KMeansWords& words) { return words.words().n_filtered(); },
          "Points that the 8-bit filter has decided so far.");
  m.def("kmeans_lloyd", &lloyd, py::arg("x").noconvert(), py::arg("start").noconvert(), py::arg("n_iter"),
        py::arg("n_threads"), py::arg("on_assignment") = py::none(), py::arg("first_column") = py::none(),
        "Centroids (n_words, d) float32, inertia of each assignment, empty words repaired.");
  m.def("kmeans_seed_rows", &seed_rows, py::arg("x").noconvert(), py::arg("n_words"), py::arg("seed"),
        py::arg("n_threads"), "Rows chosen by k-means++.");
}

}  // namespace cbir
