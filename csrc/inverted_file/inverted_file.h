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
// Cost: one multiply-add and 6 bytes read per posting of a query word; for a dense word one per image, 16 at a time
// with AVX-512, and little more than 4 bytes read per posting. A group of queries works on one block before the next,
// so that memory is read once for all of them as far as the last cache reaches. Memory: 4 bytes per posting of a dense
// word, 6 of the others, and 4 (n_words + 1) bytes per block. The order of additions is: dense words rising, then the
// others rising, each a product and a subtraction; so scores depend on neither the threads, nor the SIMD level, nor the
// other queries of the batch.
#pragma once

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

// Dense words and postings of up to kRows rows.
struct PostingBlock {
  static constexpr int64_t kRows = 8192;
  static constexpr int64_t kPanel = 64;      // rows of one panel of dense words: the bits of a mask
  static constexpr int64_t kDenseShare = 8;  // dense: at least 1 / kDenseShare of the rows

  int64_t rows = 0;
  std::vector<uint32_t> offsets;     // (n_words + 1,); a dense word has no postings
  AlignedBuffer<uint16_t> images;    // (postings,), row inside the block
  AlignedBuffer<float> weights;      // (postings,)
  std::vector<float> start;          // (kRows,): |x|_1 for l1, empty otherwise; 0 past `rows`
  std::vector<int32_t> dense_words;  // rising
  AlignedBuffer<uint64_t> masks;     // (dense_words.size(), panels): the images of the panel that have the word
  std::vector<uint32_t> begins;      // as dense_words: where the weights of the word begin
  AlignedBuffer<float> dense;        // weights of dense words by (word, image), and 16 more to read over the end

  int64_t panels() const { return ceil_div(rows, kPanel); }
  int64_t n_dense() const { return static_cast<int64_t>(dense_words.size()); }

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
