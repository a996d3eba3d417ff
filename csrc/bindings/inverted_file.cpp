#include "inverted_file/inverted_file.h"

#include <map>
#include <string>

#include "bindings/allowed.h"
#include "bindings/arrays.h"

namespace cbir {
namespace {

using inverted_file::Base;
using inverted_file::Block;
using inverted_file::Hits;
using inverted_file::Metric;
using inverted_file::Postings;
using inverted_file::Rows;

Metric metric_of(const std::string& name) {
  if (name == "ip") return Metric::ip;
  if (name == "cosine") return Metric::cosine;
  if (name == "histogram_intersection") return Metric::histogram_intersection;
  require(name == "l1", "metric must be 'ip', 'cosine', 'histogram_intersection' or 'l1'");
  return Metric::l1;
}

// Rows of CSR arrays whose sizes fit; those from `start` on are looked at in full.
Rows rows_of(const Array<int32_t>& word_ids, const Array<float>& weights, const Array<int64_t>& offsets,
             int64_t n_words, int64_t start) {
  const auto w = span(word_ids, "word_ids");
  const auto x = span(weights, "weights");
  const auto o = span(offsets, "offsets");
  require(o.size >= 1 && x.size == w.size, "offsets must not be empty, weights and word_ids of one size");
  require(start < o.size && o[start] >= 0 && o[o.size - 1] == w.size && (start > 0 || o[0] == 0),
          "offsets must run from 0 to the number of word_ids and weights");
  for (int64_t i = start; i + 1 < o.size; ++i) {
    require(o[i] <= o[i + 1] && o[i + 1] <= w.size, "offsets must rise");
    for (int64_t j = o[i]; j < o[i + 1]; ++j) {
      require(w[j] >= 0 && w[j] < n_words && (j == o[i] || w[j - 1] < w[j]),
              "word_ids must rise inside a row, from 0 to n_words - 1");
    }
  }
  return {w, x.data, o.data, o.size - 1};
}

// Postings as arrays: those of all blocks end to end. `blocks` has a line of sizes for each.
enum { kBlockRows, kBlockPostings, kBlockDenseWords, kBlockDenseWeights, kBlockLongest, kBlockColumns };

// Where the arrays of a file lie while a block is cut out of them.
struct Cursor {
  const uint32_t* offsets;
  const uint16_t* images;
  const float* weights;
  const float* sums;
  const int32_t* dense_words;
  const uint32_t* begins;
  const uint64_t* masks;
  const float* dense;
};

// An inverted file as Python holds it: rows and postings. Never changes.
class InvertedFile {
 public:
  InvertedFile(int64_t n_words, const std::string& metric)
      : word_ids_(0), weights_(0), offsets_(1), postings_(n_words, metric_of(metric)) {
    require(n_words > 0 && n_words <= 0x7fffffff, "n_words must be 1 to 2**31 - 1");
    offsets_.mutable_at(0) = 0;
  }

  // `word_ids`, `weights` and `offsets` of these rows and more after them.
  InvertedFile extended(Array<int32_t> word_ids, Array<float> weights, Array<int64_t> offsets, int n_threads) const {
    require(offsets.size() > postings_.rows_kept(), "there must be the rows of before, and more");
    const Rows all = rows_of(word_ids, weights, offsets, postings_.n_words(), postings_.rows_kept());
    py::gil_scoped_release release;
    Postings postings = postings_.extended(all, n_threads);
    py::gil_scoped_acquire acquire;
    return {std::move(word_ids), std::move(weights), std::move(offsets), std::move(postings)};
  }

  py::tuple search(const Array<int64_t>& ids, const Array<int32_t>& q_word_ids, const Array<float>& q_weights,
                   const Array<int64_t>& q_offsets, int64_t k, int n_threads, const OptionalMask& mask,
                   const OptionalPositions& positions) const {
    const Base base = base_of(ids, mask, positions);
    const Rows queries = rows_of(q_word_ids, q_weights, q_offsets, postings_.n_words(), 0);
    require(k > 0 && k <= base.rows.rows, "k must be 1 to the number of rows");
    checked_mul(queries.rows, k);
    Array<float> keys({queries.rows, k});
    Array<int64_t> hits({queries.rows, k});
    float* key_data = keys.mutable_data();
    int64_t* hit_data = hits.mutable_data();
    {
      py::gil_scoped_release release;
      postings_.search(base, queries, k, n_threads, key_data, hit_data);
    }
    return py::make_tuple(keys, hits);
  }

  py::tuple range(const Array<int64_t>& ids, const Array<int32_t>& q_word_ids, const Array<float>& q_weights,
                  const Array<int64_t>& q_offsets, float radius, int n_threads, const OptionalMask& mask,
                  const OptionalPositions& positions) const {
    const Base base = base_of(ids, mask, positions);
    const Rows queries = rows_of(q_word_ids, q_weights, q_offsets, postings_.n_words(), 0);
    std::vector<Hits> found;
    {
      py::gil_scoped_release release;
      found = postings_.range(base, queries, radius, n_threads);
    }
    return ranges_of(found);
  }

  Array<float> score(const Array<int32_t>& q_word_ids, const Array<float>& q_weights, const Array<int64_t>& q_offsets,
                     const Array<int64_t>& positions, int n_threads) const {
    const Rows all = rows();
    const Rows queries = rows_of(q_word_ids, q_weights, q_offsets, postings_.n_words(), 0);
    const auto pairs = pairs_of(positions, queries.rows, all.rows);
    Array<float> keys({queries.rows, pairs.cols});
    float* key_data = keys.mutable_data();
    {
      py::gil_scoped_release release;
      inverted_file::score(postings_.metric(), all, queries, pairs, n_threads, key_data);
    }
    return keys;
  }

  // The arrays of the postings, each in pieces that belong end to end, sharing the blocks' memory; none where there is
  // no block.
  py::dict arrays() const {
    if (postings_.blocks().empty()) return {};
    std::map<std::string, py::list> pieces;
    const auto& blocks = postings_.blocks();
    const int64_t n = static_cast<int64_t>(blocks.size());
    Array<int64_t> sizes({n, int64_t{kBlockColumns}});
    Array<double> largest(n);
    int64_t* size = sizes.mutable_data();
    for (int64_t b = 0; b < n; ++b, size += kBlockColumns) {
      const auto& block = blocks[b];
      size[kBlockRows] = block->rows;
      size[kBlockPostings] = block->images.size;
      size[kBlockDenseWords] = block->dense_words.size;
      size[kBlockDenseWeights] = block->dense.size;
      size[kBlockLongest] = block->longest;
      largest.mutable_at(b) = block->largest;
      add_piece(pieces["list_offsets"], block->offsets, block);
      add_piece(pieces["list_rows"], block->images, block);
      add_piece(pieces["list_weights"], Span<const float>{block->weights, block->images.size}, block);
      add_piece(pieces["row_sums"], block->sums, block);
      add_piece(pieces["dense_words"], block->dense_words, block);
      add_piece(pieces["dense_begins"], Span<const uint32_t>{block->begins, block->dense_words.size}, block);
      add_piece(pieces["dense_masks"], Span<const uint64_t>{block->masks, block->dense_words.size * block->panels()},
                block);
      add_piece(pieces["dense_weights"], block->dense, block);
    }
    pieces["blocks"].append(sizes);
    pieces["block_largest"].append(largest);
    add_end<uint32_t>(pieces["list_offsets"], 0);
    add_end<uint16_t>(pieces["list_rows"], 0);
    add_end<float>(pieces["list_weights"], 0);
    add_end<float>(pieces["row_sums"], 0);
    add_end<int32_t>(pieces["dense_words"], 0);
    add_end<uint32_t>(pieces["dense_begins"], 0);
    add_end<uint64_t>(pieces["dense_masks"], 0);
    add_end<float>(pieces["dense_weights"], Block::kReadOver);
    py::dict all;
    for (auto& [name, list] : pieces) all[py::str(name)] = list;
    return all;
  }

  // Takes rows and postings over as they are, without looking at more than sizes.
  static InvertedFile adopted(int64_t n_words, const std::string& metric, const Array<int32_t>& word_ids,
                              const Array<float>& weights, const Array<int64_t>& offsets, const Array<int64_t>& sizes,
                              const Array<double>& largest, const Array<uint32_t>& list_offsets,
                              const Array<uint16_t>& list_rows, const Array<float>& list_weights,
                              const Array<float>& row_sums, const Array<int32_t>& dense_words,
                              const Array<uint32_t>& dense_begins, const Array<uint64_t>& dense_masks,
                              const Array<float>& dense_weights) {
    require(n_words > 0 && n_words <= 0x7fffffff, "n_words must be 1 to 2**31 - 1");
    const Metric which = metric_of(metric);
    require(offsets.ndim() == 1 && offsets.size() >= 1 && weights.size() == word_ids.size(),
            "offsets must not be empty, weights and word_ids of one size");
    const auto lines = matrix(sizes, "blocks");
    check_sizes(lines, offsets.size() - 1, n_words, which,
                {list_offsets.size(), list_rows.size(), list_weights.size(), row_sums.size(), dense_words.size(),
                 dense_begins.size(), dense_masks.size(), dense_weights.size(), largest.size()});
    // Blocks live on in copies that other threads may drop: the arrays are let go with the GIL held.
    const std::shared_ptr<const void> memory(
        new py::tuple(py::make_tuple(list_offsets, list_rows, list_weights, row_sums, dense_words, dense_begins,
                                     dense_masks, dense_weights)),
        [](const void* tuple) {
          py::gil_scoped_acquire gil;
          delete static_cast<const py::tuple*>(tuple);
        });
    Cursor at{list_offsets.data(), list_rows.data(),    list_weights.data(), row_sums.data(),
              dense_words.data(),  dense_begins.data(), dense_masks.data(),  dense_weights.data()};
    std::vector<std::shared_ptr<const Block>> blocks;
    for (int64_t b = 0; b < lines.rows; ++b) {
      blocks.push_back(cut(at, lines.row(b), largest.data()[b], n_words, which, memory));
    }
    return {word_ids, weights, offsets, Postings(n_words, which, std::move(blocks))};
  }

 private:
  InvertedFile(Array<int32_t> word_ids, Array<float> weights, Array<int64_t> offsets, Postings postings)
      : word_ids_(std::move(word_ids)),
        weights_(std::move(weights)),
        offsets_(std::move(offsets)),
        postings_(std::move(postings)) {}

  Rows rows() const {
    return {{word_ids_.data(), word_ids_.size()}, weights_.data(), offsets_.data(), offsets_.size() - 1};
  }

  Base base_of(const Array<int64_t>& ids, const OptionalMask& mask, const OptionalPositions& positions) const {
    const Rows all = rows();
    const auto names = span(ids, "ids");
    require(names.size == all.rows && all.rows > 0, "ids must have one entry per row, and there must be a row");
    return {all, names, allowed_of(mask, positions, all.rows)};
  }

  template <class T>
  static void add_piece(py::list& list, Span<const T> values, const std::shared_ptr<const Block>& block) {
    if (values.size == 0) return;
    py::capsule keep(new std::shared_ptr<const Block>(block),
                     [](void* held) { delete static_cast<std::shared_ptr<const Block>*>(held); });
    py::array_t<T> piece({values.size}, {static_cast<int64_t>(sizeof(T))}, values.data, keep);
    piece.attr("setflags")(py::arg("write") = false);
    list.append(piece);
  }

  template <class T>
  static void add_end(py::list& list, int64_t zeros) {
    if (zeros == 0 && !list.empty()) return;
    Array<T> end(zeros);
    std::fill(end.mutable_data(), end.mutable_data() + zeros, T{0});
    list.append(end);
  }

  struct Totals {
    int64_t offsets, images, weights, sums, dense_words, begins, masks, dense, largest;
  };

  static void check_sizes(Matrix<const int64_t> lines, int64_t rows, int64_t n_words, Metric metric,
                          const Totals& totals) {
    require(lines.cols == kBlockColumns && totals.largest == lines.rows, "blocks must have a line for each block");
    const int64_t in_blocks = Postings::rows_in_blocks(rows);
    require(lines.rows == ceil_div(in_blocks, Block::kRows), "blocks are not those of so many rows");
    int64_t postings = 0, words = 0, dense = 0, masks = 0;
    for (int64_t b = 0; b < lines.rows; ++b) {
      const int64_t* line = lines.row(b);
      require(line[kBlockRows] == std::min(Block::kRows, in_blocks - b * Block::kRows),
              "a block has another number of rows");
      for (int i = 0; i < kBlockColumns; ++i) require(line[i] >= 0, "a size is negative");
      // each is at most the size of an array that is there, so the sums can't wrap round
      require(line[kBlockPostings] <= totals.images && line[kBlockDenseWords] <= totals.dense_words &&
                  line[kBlockDenseWeights] <= totals.dense,
              "a block is larger than its arrays");
      postings += line[kBlockPostings];
      words += line[kBlockDenseWords];
      dense += line[kBlockDenseWeights];
      masks += line[kBlockDenseWords] * ceil_div(line[kBlockRows], Block::kPanel);
    }
    require(totals.offsets == checked_mul(lines.rows, n_words + 1), "list_offsets has another size");
    require(totals.images == postings && totals.weights == postings, "list_rows or list_weights has another size");
    require(totals.sums == (metric == Metric::l1 ? in_blocks : 0), "row_sums has another size");
    require(totals.dense_words == words && totals.begins == words && totals.masks == masks,
            "dense_words, dense_begins or dense_masks has another size");
    require(totals.dense == dense + Block::kReadOver, "dense_weights has another size");
  }

  static std::shared_ptr<const Block> cut(Cursor& at, const int64_t* line, double largest, int64_t n_words,
                                          Metric metric, const std::shared_ptr<const void>& memory) {
    auto block = std::make_shared<Block>();
    block->rows = line[kBlockRows];
    block->longest = line[kBlockLongest];
    block->largest = largest;
    block->offsets = {at.offsets, n_words + 1};
    block->images = {at.images, line[kBlockPostings]};
    block->weights = at.weights;
    block->sums = {at.sums, metric == Metric::l1 ? block->rows : 0};
    block->dense_words = {at.dense_words, line[kBlockDenseWords]};
    block->begins = at.begins;
    block->masks = at.masks;
    block->dense = {at.dense, line[kBlockDenseWeights]};
    block->memory = memory;
    at.offsets += n_words + 1;
    at.images += block->images.size;
    at.weights += block->images.size;
    at.sums += block->sums.size;
    at.dense_words += block->dense_words.size;
    at.begins += block->dense_words.size;
    at.masks += block->dense_words.size * block->panels();
    at.dense += block->dense.size;
    return block;
  }

  Array<int32_t> word_ids_;
  Array<float> weights_;
  Array<int64_t> offsets_;
  Postings postings_;
};

}  // namespace

void bind_inverted_file(py::module_& m) {
  py::class_<InvertedFile>(m, "InvertedFile", "Sparse rows and their postings. Never changes; copies share memory.")
      .def(py::init<int64_t, const std::string&>(), py::arg("n_words"), py::arg("metric"))
      .def("extended", &InvertedFile::extended, py::arg("word_ids").noconvert(), py::arg("weights").noconvert(),
           py::arg("offsets").noconvert(), py::arg("n_threads") = 0,
           "One of these rows, which must begin with those of this, whose complete blocks are shared.")
      .def("search", &InvertedFile::search, py::arg("ids").noconvert(), py::arg("q_word_ids").noconvert(),
           py::arg("q_weights").noconvert(), py::arg("q_offsets").noconvert(), py::arg("k"), py::arg("n_threads") = 0,
           py::arg("mask").noconvert() = py::none(), py::arg("positions").noconvert() = py::none(),
           "Keys (distances or negated similarities, best first) and ids of the k best rows.")
      .def("range", &InvertedFile::range, py::arg("ids").noconvert(), py::arg("q_word_ids").noconvert(),
           py::arg("q_weights").noconvert(), py::arg("q_offsets").noconvert(), py::arg("radius"),
           py::arg("n_threads") = 0, py::arg("mask").noconvert() = py::none(),
           py::arg("positions").noconvert() = py::none(), "Lims, keys and ids of all rows with keys up to radius.")
      .def("score", &InvertedFile::score, py::arg("q_word_ids").noconvert(), py::arg("q_weights").noconvert(),
           py::arg("q_offsets").noconvert(), py::arg("positions").noconvert(), py::arg("n_threads") = 0,
           "Keys (nq, m) of given rows; positions (1 or nq, m), -1 gives infinity.")
      .def("arrays", &InvertedFile::arrays, "Name -> pieces of the arrays of the postings, sharing their memory.")
      .def_static(
          "adopted", &InvertedFile::adopted, py::arg("n_words"), py::arg("metric"), py::arg("word_ids").noconvert(),
          py::arg("weights").noconvert(), py::arg("offsets").noconvert(), py::arg("blocks").noconvert(),
          py::arg("block_largest").noconvert(), py::arg("list_offsets").noconvert(), py::arg("list_rows").noconvert(),
          py::arg("list_weights").noconvert(), py::arg("row_sums").noconvert(), py::arg("dense_words").noconvert(),
          py::arg("dense_begins").noconvert(), py::arg("dense_masks").noconvert(), py::arg("dense_weights").noconvert(),
          "Rows and the arrays of their postings as they are, perhaps mapped; only sizes are looked at.");
}

}  // namespace cbir
