#include "flat/flat.h"

#include "bindings/allowed.h"
#include "bindings/arrays.h"

namespace cbir {
namespace {

flat::Metric metric_of(const std::string& name) {
  if (name == "l2") return flat::Metric::l2;
  if (name == "ip") return flat::Metric::ip;
  require(name == "cosine", "metric must be 'l2', 'ip' or 'cosine'");
  return flat::Metric::cosine;
}

flat::Rows rows_of(const Array<float>& xb, const Array<int64_t>& ids, const Array<float>& xq, const OptionalMask& mask,
                   const OptionalPositions& positions) {
  const auto rows = matrix(xb, "xb"), queries = matrix(xq, "xq");
  const auto names = span(ids, "ids");
  require(rows.cols == queries.cols && rows.cols > 0, "xb and xq must have the same number of columns, at least 1");
  require(names.size == rows.rows, "ids must have one entry per row of xb");
  return {rows, names, allowed_of(mask, positions, rows.rows)};
}

py::tuple search(const Array<float>& xb, const Array<int64_t>& ids, const Array<float>& xq, const std::string& metric,
                 int64_t k, int n_threads, const OptionalMask& mask, const OptionalPositions& positions) {
  const flat::Rows rows = rows_of(xb, ids, xq, mask, positions);
  const auto queries = matrix(xq, "xq");
  const flat::Metric which = metric_of(metric);
  require(k > 0, "k must be positive");
  checked_mul(queries.rows, k);
  Array<float> keys({queries.rows, k});
  Array<int64_t> hits({queries.rows, k});
  float* key_data = keys.mutable_data();
  int64_t* hit_data = hits.mutable_data();
  {
    py::gil_scoped_release release;
    flat::search(rows, queries, which, k, n_threads, key_data, hit_data);
  }
  return py::make_tuple(keys, hits);
}

py::tuple range(const Array<float>& xb, const Array<int64_t>& ids, const Array<float>& xq, const std::string& metric,
                float radius, int n_threads, const OptionalMask& mask, const OptionalPositions& positions) {
  const flat::Rows rows = rows_of(xb, ids, xq, mask, positions);
  const auto queries = matrix(xq, "xq");
  const flat::Metric which = metric_of(metric);
  std::vector<std::vector<std::pair<float, int64_t>>> found;
  {
    py::gil_scoped_release release;
    found = flat::range(rows, queries, which, radius, n_threads);
  }
  return ranges_of(found);
}

Array<float> score(const Array<float>& xb, const Array<float>& xq, const std::string& metric,
                   const Array<int64_t>& positions, int n_threads) {
  const auto rows = matrix(xb, "xb"), queries = matrix(xq, "xq");
  require(rows.cols == queries.cols && rows.cols > 0, "xb and xq must have the same number of columns, at least 1");
  const auto pairs = pairs_of(positions, queries.rows, rows.rows);
  const flat::Metric which = metric_of(metric);
  Array<float> keys({queries.rows, pairs.cols});
  float* key_data = keys.mutable_data();
  {
    py::gil_scoped_release release;
    flat::score_pairs(rows, queries, which, pairs, n_threads, key_data);
  }
  return keys;
}

}  // namespace

void bind_flat(py::module_& m) {
  m.def("flat_search", &search, py::arg("xb").noconvert(), py::arg("ids").noconvert(), py::arg("xq").noconvert(),
        py::arg("metric"), py::arg("k"), py::arg("n_threads") = 0, py::arg("mask").noconvert() = py::none(),
        py::arg("positions").noconvert() = py::none(),
        "Keys (squared distances or negated similarities, best first) and ids of the k best rows of xb.");
  m.def("flat_range", &range, py::arg("xb").noconvert(), py::arg("ids").noconvert(), py::arg("xq").noconvert(),
        py::arg("metric"), py::arg("radius"), py::arg("n_threads") = 0, py::arg("mask").noconvert() = py::none(),
        py::arg("positions").noconvert() = py::none(), "Lims, keys and ids of all rows of xb with keys up to radius.");
  m.def("flat_score", &score, py::arg("xb").noconvert(), py::arg("xq").noconvert(), py::arg("metric"),
        py::arg("positions").noconvert(), py::arg("n_threads") = 0,
        "Keys (nq, m) of given rows; positions (1 or nq, m), -1 gives infinity.");
}

}  // namespace cbir
