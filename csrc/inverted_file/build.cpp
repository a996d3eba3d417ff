// Making the postings: a counting sort of a block's entries by word, which keeps the images of a word in order.
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/parallel.h"
#include "inverted_file/inverted_file.h"

namespace cbir {
namespace {

double length_of(const float* weights, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(weights[i]) * weights[i];
  return std::sqrt(sum);
}

void fill_dense(PostingBlock& block, int64_t n_words) {
  for (int64_t w = 0; w < n_words; ++w) {
    if (block.offsets[w + 1] - block.offsets[w] >= PostingBlock::kDenseFrom) {
      block.dense_words.push_back(static_cast<int32_t>(w));
    }
  }
  block.dense = AlignedBuffer<float>(static_cast<int64_t>(block.dense_words.size()) * PostingBlock::kRows);
  std::fill(block.dense.data(), block.dense.data() + block.dense.size(), 0.0f);
  for (size_t at = 0; at < block.dense_words.size(); ++at) {
    float* row = block.dense.data() + static_cast<int64_t>(at) * PostingBlock::kRows;
    const int32_t w = block.dense_words[at];
    for (uint32_t i = block.offsets[w]; i < block.offsets[w + 1]; ++i) row[block.images[i]] = block.weights[i];
  }
}

std::unique_ptr<PostingBlock> make_block(const SparseRows& all, int64_t begin, int64_t end, int64_t n_words,
                                         SparseMetric metric) {
  auto block = std::make_unique<PostingBlock>();
  const int64_t first = all.offsets[begin], nnz = all.offsets[end] - first;
  block->rows = end - begin;
  block->offsets.assign(static_cast<size_t>(n_words) + 1, 0);
  block->images = AlignedBuffer<uint16_t>(nnz);
  block->weights = AlignedBuffer<float>(nnz);
  if (metric == SparseMetric::l1) block->start.assign(PostingBlock::kRows, 0.0f);

  for (int64_t i = first; i < first + nnz; ++i) ++block->offsets[all.word_ids[i] + 1];
  for (int64_t w = 0; w < n_words; ++w) block->offsets[w + 1] += block->offsets[w];
  std::vector<uint32_t> next(block->offsets.begin(), block->offsets.end() - 1);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t from = all.offsets[row], to = all.offsets[row + 1];
    double factor = 1, sum = 0;
    if (metric == SparseMetric::cosine) {
      const double length = length_of(all.weights + from, to - from);
      factor = length > 0 ? 1 / length : 0;
    }
    for (int64_t i = from; i < to; ++i) {
      const uint32_t at = next[all.word_ids[i]]++;
      block->images[at] = static_cast<uint16_t>(row - begin);
      block->weights[at] = static_cast<float>(factor * all.weights[i]);
      sum += std::fabs(all.weights[i]);
    }
    if (metric == SparseMetric::l1) block->start[row - begin] = static_cast<float>(sum);
  }
  fill_dense(*block, n_words);
  return block;
}

}  // namespace

int64_t PostingBlock::nbytes() const {
  return static_cast<int64_t>(offsets.size() * sizeof(uint32_t) + start.size() * sizeof(float)) +
         dense.size() * static_cast<int64_t>(sizeof(float)) +
         images.size() * static_cast<int64_t>(sizeof(uint16_t) + sizeof(float));
}

int64_t InvertedFile::nbytes() const {
  int64_t total = 0;
  for (const auto& block : blocks_) total += block->nbytes();
  return total;
}

void InvertedFile::rebuild(const SparseRows& all, int64_t from, int n_threads) {
  const int64_t kept = std::min(from, rows_) / PostingBlock::kRows;
  std::vector<std::unique_ptr<PostingBlock>> fresh(
      static_cast<size_t>(ceil_div(all.rows, PostingBlock::kRows) - kept));
  parallel_for(static_cast<int64_t>(fresh.size()), n_threads, [&](int64_t i, int) {
    const int64_t begin = (kept + i) * PostingBlock::kRows;
    fresh[i] = make_block(all, begin, std::min(all.rows, begin + PostingBlock::kRows), n_words_, metric_);
  });
  blocks_.resize(static_cast<size_t>(kept));
  for (auto& block : fresh) blocks_.push_back(std::move(block));
  rows_ = all.rows;
}

}  // namespace cbir
