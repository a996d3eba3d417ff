// Inverted file over sparse rows: postings by word, scored term at a time.
//
// Images are cut into blocks of 8,192, so that a query's running scores of a block (32 KiB) stay in L1. A word that at
// least an eighth of the block's images have is dense: its weights lie one after the other, beside one bit per image
// that says whose they are, and 16 images are added at a time (scan.h). The other words are postings by (word, image):
// image as 16 bits, weight as a float, and a table of n_words + 1 offsets; for each of the query's words, one after the
// other, they are added to the scores:
//
//   ip, cosine               score += q_w x_w               (cosine: rows and query are brought to length 1 before)
//   histogram_intersection   score += min(q_w, x_w)
//   l1                       score += |q_w - x_w| - |q_w| - |x_w|,   from |q|_1 + |x|_1 at the start
//
// Running scores carry the rounding of many additions, and the order of these differs from block to block: dense words
// rising, then the others rising. They only choose candidates: every row whose score may belong to the answer within
// the error bound (error_of) is scored again over whole rows in double precision, and sorted and cut by that. So the
// answer depends on neither blocks, threads, SIMD level, nor the other queries of the batch.
//
// Cost: one multiply-add and 6 bytes read per posting of a query word; for a dense word one per image, 16 at a time
// with AVX-512, and little more than 4 bytes read per posting. A group of queries works on one block before the next,
// so that memory is read once for all of them as far as the last cache reaches. Memory: 4 bytes per posting of a dense
// word, 6 of the others, and 4 (n_words + 1) bytes per block. The last rows, if fewer than 32, have no block: they are
// scored one by one, so that a few rows of a large vocabulary take no table.
//
// Blocks may lie in mapped files whose bytes change under our hands: a value that is used as an index is checked where
// it is used, and the wrong answer that follows is for a checksum to find.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/allowed.h"
#include "core/matrix.h"

namespace cbir::inverted_file {

enum class Metric { ip, cosine, histogram_intersection, l1 };

struct Entries {
  const int32_t* words;  // rising strictly
  const float* weights;
  int64_t n;
};

// Rows in CSR form.
struct Rows {
  Span<const int32_t> word_ids;
  const float* weights;
  const int64_t* offsets;
  int64_t rows;

  Entries operator[](int64_t row) const {
    const int64_t from = offsets[row], to = offsets[row + 1];
    if (from < 0 || from > to || to > word_ids.size) return {nullptr, nullptr, 0};  // an altered file
    return {word_ids.data + from, weights + from, to - from};
  }
};

// Score of one row against one query by merging them, in double precision; smaller is better: a distance, or a negated
// similarity.
double exact_key(Metric metric, const Entries& row, const Entries& query);

// Dense words and postings of up to kRows rows.
struct Block {
  static constexpr int64_t kRows = 8192;
  static constexpr int64_t kPanel = 64;             // rows of one panel of dense words: the bits of a mask
  static constexpr int64_t kDenseShare = 8;         // dense: at least 1 / kDenseShare of the rows
  static constexpr int64_t kReadOver = kRows + 16;  // floats that may be read after `dense`, whatever the masks say

  int64_t rows = 0;
  int64_t longest = 0;  // most entries of a row
  double largest = 0;   // largest length of a row: |x| for ip and cosine, |x|_1 otherwise

  Span<const uint32_t> offsets{};     // (n_words + 1,); a dense word has no postings
  Span<const uint16_t> images{};      // (postings,), row inside the block
  const float* weights = nullptr;     // (postings,)
  Span<const float> sums{};           // (rows,): |x|_1 for l1, empty otherwise
  Span<const int32_t> dense_words{};  // rising
  const uint32_t* begins = nullptr;   // as dense_words: where the weights of the word begin
  const uint64_t* masks = nullptr;    // (dense_words.size, panels): the images of the panel that have the word
  Span<const float> dense{};          // weights of dense words by (word, image)

  std::shared_ptr<const void> memory;  // what all this points into

  int64_t panels() const { return ceil_div(rows, kPanel); }
};

// What is searched: rows, an id for each, and which of them may answer.
struct Base {
  Rows rows;
  Span<const int64_t> ids;
  Allowed allowed;
};

using Hits = std::vector<std::pair<float, int64_t>>;  // keys and ids, best first

// The postings of rows that the caller holds. Never changes; copies share blocks.
class Postings {
 public:
  static constexpr int64_t kFewRows = 32;  // so many rows make a block

  Postings(int64_t n_words, Metric metric) : n_words_(n_words), metric_(metric) {}
  Postings(int64_t n_words, Metric metric, std::vector<std::shared_ptr<const Block>> blocks)
      : n_words_(n_words), metric_(metric), blocks_(std::move(blocks)) {}

  // Postings of `all`, whose first rows must be those of this: complete blocks are taken over.
  Postings extended(const Rows& all, int n_threads) const;

  // The first row that `extended` makes postings of.
  int64_t rows_kept() const;

  // Rows that are in blocks, of `rows` in all.
  static int64_t rows_in_blocks(int64_t rows) {
    const int64_t rest = rows % Block::kRows;
    return rest < kFewRows ? rows - rest : rows;
  }

  // Writes the keys and ids of the k best rows for each query, (nq, k), padded with infinity and -1.
  void search(const Base& base, const Rows& queries, int64_t k, int n_threads, float* keys, int64_t* hits) const;

  // For each query the rows with keys up to `radius`.
  std::vector<Hits> range(const Base& base, const Rows& queries, float radius, int n_threads) const;

  int64_t n_words() const { return n_words_; }
  Metric metric() const { return metric_; }
  const std::vector<std::shared_ptr<const Block>>& blocks() const { return blocks_; }

 private:
  std::vector<Hits> find(const Base& base, const Rows& queries, int64_t k, float radius, int n_threads) const;

  int64_t n_words_;
  Metric metric_;
  std::vector<std::shared_ptr<const Block>> blocks_;
};

// Writes the keys of given rows, (nq, m): row positions[q][j] for query q, or positions[0][j] for all; infinity for -1.
void score(Metric metric, const Rows& rows, const Rows& queries, Matrix<const int64_t> positions, int n_threads,
           float* keys);

}  // namespace cbir::inverted_file
