#include "flat/flat.h"

#include "bindings/arrays.h"

namespace cbir {
namespace {

FlatMetric metric_of(const std::string& name) {
  if (name == "l2") return FlatMetric::l2;
  if (name == "ip") return FlatMetric::ip;
  require(name == "cosine", "metric must be 'l2', 'ip' or 'cosine'");
  return FlatMetric::cosine;
}

py::tuple search(const Array<float>& xb, const Array<int64_t>& ids, const Array<float>& xq, const std::string& metric,
                 int64_t k, int n_threads) {
  const auto rows = matrix(xb, "xb"), queries = matrix(xq, "xq");
  const auto names = span(ids, "ids");
  const FlatMetric which = metric_of(metric);
  require(rows.cols == queries.cols && rows.cols > 0, "xb and xq must have the same number of columns, at least 1");
  require(names.size == rows.rows, "ids must have one entry per row of xb");
  require(k > 0, "k must be positive");
  checked_mul(queries.rows, k);
  Array<float> keys({queries.rows, k});
  Array<int64_t> hits({queries.rows, k});
  float* key_data = keys.mutable_data();
  int64_t* hit_data = hits.mutable_data();
  {
    py::gil_scoped_release release;
    flat_search(rows, names, queries, which, k, n_threads, key_data, hit_data);
  }
  return py::make_tuple(keys, hits);
}

}  // namespace

void bind_flat(py::module_& m) {
  m.def("flat_search", &search, py::arg("xb").noconvert(), py::arg("ids").noconvert(), py::arg("xq").noconvert(),
        py::arg("metric"), py::arg("k"), py::arg("n_threads") = 0,
        "Keys (squared distances or negated similarities, best first) and ids of the k best rows of xb.");
}

}  // namespace cbir
