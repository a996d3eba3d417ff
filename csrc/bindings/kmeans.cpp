// k-means for Python: a packed vocabulary, Lloyd's iterations, seeding.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "core/parallel.h"
#include "kmeans/kmeans.h"

namespace cbir {
namespace {

using kmeans::Words;

// Holds the array that the words were packed from.
class KMeansWords {
 public:
  explicit KMeansWords(Array<float> centroids) : centroids_(std::move(centroids)), words_(checked(centroids_)) {}

  py::array_t<int32_t> assign(const Array<float>& x, int n_threads) const {
    const auto points = checked_points(x);
    py::array_t<int32_t> word_ids(points.rows);
    int32_t* out = word_ids.mutable_data();
    py::gil_scoped_release release;
    words_.assign(points, n_threads, out, nullptr);
    return word_ids;
  }

  py::tuple nearest(const Array<float>& x, int64_t n_assign, int n_threads) const {
    const auto points = checked_points(x);
    require(n_assign >= 1 && n_assign <= words_.size(), "n_assign must be 1 to the number of words");
    py::array_t<int32_t> word_ids({points.rows, n_assign});
    py::array_t<float> distances({points.rows, n_assign});
    int32_t* ids = word_ids.mutable_data();
    float* squared = distances.mutable_data();
    {
      py::gil_scoped_release release;
      words_.nearest(points, n_assign, n_threads, ids, squared);
    }
    return py::make_tuple(word_ids, distances);
  }

 private:
  static Matrix<const float> checked(const Array<float>& centroids) {
    const auto c = matrix(centroids, "centroids");
    require(c.rows >= 1, "centroids must have at least one row");
    return c;
  }

  Matrix<const float> checked_points(const Array<float>& x) const {
    const auto points = matrix(x, "x");
    require(points.cols == words_.d(), "x must have as many columns as the centroids");
    return points;
  }

  Array<float> centroids_;
  Words words_;
};

py::tuple lloyd(const Array<float>& x, const Array<float>& start, int64_t n_iter, int n_threads,
                const std::optional<py::function>& on_assignment) {
  const auto points = matrix(x, "x");
  const auto first = matrix(start, "start");
  require(first.rows >= 1 && first.cols == points.cols, "start must be (n_words, d) with the d of x");
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
           "Nearest word of each row, (n,) int32; ties go to the lower word.")
      .def("nearest", &KMeansWords::nearest, py::arg("x").noconvert(), py::arg("n_assign"), py::arg("n_threads"),
           "Nearest words and squared distances, (n, n_assign) int32 and float32.");
  m.def("kmeans_lloyd", &lloyd, py::arg("x").noconvert(), py::arg("start").noconvert(), py::arg("n_iter"),
        py::arg("n_threads"), py::arg("on_assignment") = py::none(),
        "Centroids (n_words, d) float32, inertia of each assignment, empty words repaired.");
  m.def("kmeans_seed_rows", &seed_rows, py::arg("x").noconvert(), py::arg("n_words"), py::arg("seed"),
        py::arg("n_threads"), "Rows chosen by k-means++.");
}

}  // namespace cbir
