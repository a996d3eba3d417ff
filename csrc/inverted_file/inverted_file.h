// Inverted file over sparse rows: postings by word, scored term at a time.
//
// Images are cut into blocks of 8,192, so that the block's running scores (32 KiB) stay in L1. Inside a block the
// postings lie by (word, image): image as 16 bits, weight as a float, and a table of n_words + 1 offsets. For each word
// of the query, one after the other, the block's postings are added to the scores:
//
//   ip, cosine               score += q_w x_w               (cosine: rows and query are brought to length 1 before)
//   histogram_intersection   score += min(q_w, x_w)
//   l1                       score += |q_w - x_w| - |q_w| - |x_w|,   from |q|_1 + |x|_1 at the start
//
// Cost: one multiply-add and 6 bytes read per posting of a query word; 6 bytes per posting and 4 (n_words + 1) per block.
// The order of additions is that of the words, whatever the threads and the SIMD level.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/aligned.h"
#include "core/matrix.h"

namespace cbir {

enum class SparseMetric { ip, cosine, histogram_intersection, l1 };

// Rows in CSR form; word ids rise strictly inside a row.
struct SparseRows {
  const int32_t* word_ids;
  const float* weights;
  const int64_t* offsets;
  int64_t rows;
};

// Postings of up to kRows rows.
struct PostingBlock {
  static constexpr int64_t kRows = 8192;

  int64_t rows = 0;
  std::vector<uint32_t> offsets;   // (n_words + 1,)
  AlignedBuffer<uint16_t> images;  // (nnz,), row inside the block
  AlignedBuffer<float> weights;    // (nnz,)
  std::vector<float> start;        // (kRows,): |x|_1 for l1, empty otherwise; 0 past `rows`

  // Words of at least a quarter of the block's images lie as one float per image too: adding such a row of 8,192
  // floats takes a wide processor less time than its postings do.
  static constexpr int64_t kDenseFrom = kRows / 4;
  std::vector<int32_t> dense_words;  // rising
  AlignedBuffer<float> dense;        // (dense_words.size(), kRows), 0 where the image lacks the word

  const float* dense_of(int32_t word) const {
    const auto at = std::lower_bound(dense_words.begin(), dense_words.end(), word) - dense_words.begin();
    return dense.data() + at * kRows;
  }

  int64_t nbytes() const;
};

class InvertedFile {
 public:
  InvertedFile(int64_t n_words, SparseMetric metric) : n_words_(n_words), metric_(metric) {}

  // Makes the postings of rows [from, all.rows) anew; those of earlier rows, which must be as before, are kept where
  // their block is complete.
  void rebuild(const SparseRows& all, int64_t from, int n_threads);

  // The k best rows for each query: keys (smaller is better: distance, or negated similarity) and ids, (nq, k) each.
  // `all` are the rows and `ids` their ids; what is returned is scored again over whole rows in double precision.
  void search(const SparseRows& all, Span<const int64_t> ids, const SparseRows& queries, int64_t k, int n_threads,
              float* keys, int64_t* hits) const;

  int64_t n_words() const { return n_words_; }
  int64_t rows() const { return rows_; }
  int64_t nbytes() const;

 private:
  int64_t n_words_;
  SparseMetric metric_;
  int64_t rows_ = 0;
  std::vector<std::unique_ptr<PostingBlock>> blocks_;
};

// Score of one row against one query by merging them, in double precision; smaller is better.
double sparse_key(SparseMetric metric, const int32_t* xw, const float* x, int64_t nx, const int32_t* qw, const float* q,
                  int64_t nq);

}  // namespace cbir
