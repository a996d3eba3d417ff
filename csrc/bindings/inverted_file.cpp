#include "inverted_file/inverted_file.h"

#include "bindings/arrays.h"

namespace cbir {
namespace {

SparseMetric metric_of(const std::string& name) {
  if (name == "ip") return SparseMetric::ip;
  if (name == "cosine") return SparseMetric::cosine;
  if (name == "histogram_intersection") return SparseMetric::histogram_intersection;
  require(name == "l1", "metric must be 'ip', 'cosine', 'histogram_intersection' or 'l1'");
  return SparseMetric::l1;
}

SparseRows rows_of(const Array<int32_t>& word_ids, const Array<float>& weights, const Array<int64_t>& offsets,
                   int64_t n_words) {
  const auto w = span(word_ids, "word_ids");
  const auto x = span(weights, "weights");
  const auto o = span(offsets, "offsets");
  require(o.size >= 1 && o[0] == 0 && o[o.size - 1] == w.size && x.size == w.size,
          "offsets must run from 0 to the number of word_ids and weights");
  for (int64_t i = 0; i + 1 < o.size; ++i) {
    require(o[i] <= o[i + 1] && o[i + 1] <= w.size, "offsets must rise");
    for (int64_t j = o[i]; j < o[i + 1]; ++j) {
      require(w[j] >= 0 && w[j] < n_words && (j == o[i] || w[j - 1] < w[j]),
              "word_ids must rise inside a row, from 0 to n_words - 1");
    }
  }
  return {w.data, x.data, o.data, o.size - 1};
}

// The rows an index holds were checked when they were added: only the sizes are looked at again.
SparseRows held(const Array<int32_t>& word_ids, const Array<float>& weights, const Array<int64_t>& offsets,
                int64_t rows) {
  const auto o = span(offsets, "offsets");
  require(o.size == rows + 1 && o[rows] == word_ids.size() && word_ids.size() == weights.size(),
          "the rows handed over are not those of the last rebuild");
  return {word_ids.data(), weights.data(), o.data, rows};
}

void rebuild(InvertedFile& file, const Array<int32_t>& word_ids, const Array<float>& weights,
             const Array<int64_t>& offsets, int64_t from, int n_threads) {
  const SparseRows all = rows_of(word_ids, weights, offsets, file.n_words());
  require(from >= 0 && from <= all.rows, "from must be 0 to the number of rows");
  py::gil_scoped_release release;
  file.rebuild(all, from, n_threads);
}

py::tuple search(const InvertedFile& file, const Array<int32_t>& word_ids, const Array<float>& weights,
                 const Array<int64_t>& offsets, const Array<int64_t>& ids, const Array<int32_t>& q_word_ids,
                 const Array<float>& q_weights, const Array<int64_t>& q_offsets, int64_t k, int n_threads) {
  const SparseRows all = held(word_ids, weights, offsets, file.rows());
  const SparseRows queries = rows_of(q_word_ids, q_weights, q_offsets, file.n_words());
  const auto names = span(ids, "ids");
  require(names.size == all.rows && all.rows > 0, "ids must have one entry per row, and there must be a row");
  require(k > 0 && k <= all.rows, "k must be 1 to the number of rows");
  checked_mul(queries.rows, k);
  Array<float> keys({queries.rows, k});
  Array<int64_t> hits({queries.rows, k});
  float* key_data = keys.mutable_data();
  int64_t* hit_data = hits.mutable_data();
  {
    py::gil_scoped_release release;
    file.search(all, names, queries, k, n_threads, key_data, hit_data);
  }
  return py::make_tuple(keys, hits);
}

}  // namespace

void bind_inverted_file(py::module_& m) {
  py::class_<InvertedFile>(m, "InvertedFile", "Postings of sparse rows; the rows themselves stay with the caller.")
      .def(py::init([](int64_t n_words, const std::string& metric) {
             require(n_words > 0 && n_words <= 0x7fffffff, "n_words must be 1 to 2**31 - 1");
             return new InvertedFile(n_words, metric_of(metric));
           }),
           py::arg("n_words"), py::arg("metric"))
      .def("rebuild", &rebuild, py::arg("word_ids").noconvert(), py::arg("weights").noconvert(),
           py::arg("offsets").noconvert(), py::arg("start"), py::arg("n_threads") = 0,
           "Make the postings of rows from `start` on; earlier rows must be as before.")
      .def("search", &search, py::arg("word_ids").noconvert(), py::arg("weights").noconvert(),
           py::arg("offsets").noconvert(), py::arg("ids").noconvert(), py::arg("q_word_ids").noconvert(),
           py::arg("q_weights").noconvert(), py::arg("q_offsets").noconvert(), py::arg("k"), py::arg("n_threads") = 0,
           "Keys (distances or negated similarities, best first) and ids of the k best rows.")
      .def_property_readonly("nbytes", &InvertedFile::nbytes);
}

}  // namespace cbir
