#include "vlad/vlad.h"

#include <limits>

#include "bindings/arrays.h"
#include "bindings/kmeans_words.h"

namespace cbir {
namespace {

void check_bags(Matrix<const float> rows, Span<const int64_t> starts, Matrix<const float> centres,
                Matrix<float> vectors, int n_threads) {
  require(starts.size >= 1 && starts[0] == 0 && starts[starts.size - 1] == rows.rows,
          "offsets must go from 0 to the number of rows of x");
  for (int64_t b = 0; b + 1 < starts.size; ++b) {
    require(starts[b] <= starts[b + 1], "offsets must not fall");
    require(starts[b + 1] - starts[b] <= std::numeric_limits<int32_t>::max(), "a bag has too many rows");
  }
  require(centres.cols == rows.cols, "x and centroids must have the same d");
  require(vectors.rows == starts.size - 1 && vectors.cols == checked_mul(centres.rows, centres.cols),
          "out must be (n bags, n_words d)");
  require(n_threads >= 0, "n_threads must be 0 or more");
}

void encode(const Array<float>& x, const Array<int64_t>& offsets, const Array<int32_t>& word_ids,
            const Array<float>& centroids, bool signed_sqrt, bool intra, bool l2, int n_threads, Array<float>& out) {
  const auto rows = matrix(x, "x");
  const auto starts = span(offsets, "offsets");
  const auto words = span(word_ids, "word_ids");
  const auto centres = matrix(centroids, "centroids");
  const auto vectors = mutable_matrix(out, "out");
  check_bags(rows, starts, centres, vectors, n_threads);
  require(words.size == rows.rows, "word_ids must have one entry per row of x");
  bool inside = true;
  for (const int32_t w : words) inside &= w >= 0 && w < centres.rows;
  require(inside, "word_ids must be in [0, n_words)");
  py::gil_scoped_release release;
  vlad::encode(rows, starts, words, centres, {signed_sqrt, intra, l2}, n_threads, vectors);
}

void transform(const Array<float>& x, const Array<int64_t>& offsets, const KMeansWords& words, bool signed_sqrt,
               bool intra, bool l2, int n_threads, Array<float>& out) {
  const auto rows = matrix(x, "x");
  const auto starts = span(offsets, "offsets");
  const auto vectors = mutable_matrix(out, "out");
  check_bags(rows, starts, words.words().centroids(), vectors, n_threads);
  py::gil_scoped_release release;
  vlad::transform(rows, starts, words.words(), {signed_sqrt, intra, l2}, n_threads, vectors);
}

}  // namespace

void bind_vlad(py::module_& m) {
  m.def("vlad_encode", &encode, py::arg("x").noconvert(), py::arg("offsets").noconvert(),
        py::arg("word_ids").noconvert(), py::arg("centroids").noconvert(), py::kw_only(), py::arg("signed_sqrt"),
        py::arg("intra"), py::arg("l2"), py::arg("n_threads"), py::arg("out").noconvert(),
        "VLAD of each bag of rows of x (N, d) into out (n, n_words d); see csrc/vlad/vlad.h.");
  m.def("vlad_transform", &transform, py::arg("x").noconvert(), py::arg("offsets").noconvert(), py::arg("words"),
        py::kw_only(), py::arg("signed_sqrt"), py::arg("intra"), py::arg("l2"), py::arg("n_threads"),
        py::arg("out").noconvert(),
        "words.assign and vlad_encode in one: an image is encoded while its descriptors are still in cache.");
}

}  // namespace cbir
