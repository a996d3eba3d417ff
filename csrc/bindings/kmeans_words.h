// A packed vocabulary as Python holds it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "bindings/arrays.h"
#include "kmeans/kmeans.h"

namespace cbir {

// Where in each row of x the sub-vector begins that is meant; none: the whole row is.
using FirstColumn = std::optional<int64_t>;

// Holds the array that the words were packed from.
class KMeansWords {
 public:
  explicit KMeansWords(Array<float> centroids) : centroids_(std::move(centroids)), words_(checked(centroids_)) {}

  py::array_t<int32_t> assign(const Array<float>& x, int n_threads, FirstColumn first_column) const {
    const auto points = checked_points(x, first_column);
    py::array_t<int32_t> word_ids(points.rows);
    int32_t* out = word_ids.mutable_data();
    py::gil_scoped_release release;
    words_.assign(points, n_threads, out, nullptr);
    return word_ids;
  }

  py::tuple nearest(const Array<float>& x, int64_t n_assign, int n_threads, FirstColumn first_column) const {
    const auto points = checked_points(x, first_column);
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

  const kmeans::Words& words() const { return words_; }

 private:
  static Matrix<const float> checked(const Array<float>& centroids) {
    const auto c = matrix(centroids, "centroids");
    require(c.rows >= 1 && c.cols >= 1, "centroids must have at least one row and one column");
    return c;
  }

  Matrix<const float> checked_points(const Array<float>& x, FirstColumn first_column) const {
    const auto points = matrix(x, "x");
    if (first_column) return columns(points, *first_column, words_.d());
    require(points.cols == words_.d(), "x must have as many columns as the centroids");
    return points;
  }

  Array<float> centroids_;
  kmeans::Words words_;
};

}  // namespace cbir
