// Making a block: a counting sort of its entries by word, which keeps the images of a word in order. The weights of
// dense words go to a place of their own.
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

// Turns the counts in offsets[w + 1] into offsets, and sets dense words apart: gives each word's place among the dense
// words, or -1.
std::vector<int32_t> lay_out(PostingBlock& block, int64_t n_words) {
  std::vector<int32_t> place(static_cast<size_t>(n_words), -1);
  const int64_t padded = block.panels() * PostingBlock::kPanel;
  uint32_t dense = 0;
  for (int64_t w = 0; w < n_words; ++w) {
    if (block.offsets[w + 1] * PostingBlock::kDenseShare >= padded) {
      place[w] = static_cast<int32_t>(block.n_dense());
      block.dense_words.push_back(static_cast<int32_t>(w));
      block.begins.push_back(dense);
      dense += block.offsets[w + 1];
      block.offsets[w + 1] = 0;
    }
    block.offsets[w + 1] += block.offsets[w];
  }
  block.images = AlignedBuffer<uint16_t>(block.offsets[n_words]);
  block.weights = AlignedBuffer<float>(block.offsets[n_words]);
  block.dense = AlignedBuffer<float>(dense + 16);
  std::fill(block.dense.data(), block.dense.data() + block.dense.size(), 0.0f);
  const int64_t n_masks = checked_mul(block.n_dense(), block.panels());
  block.masks = AlignedBuffer<uint64_t>(n_masks);
  std::fill(block.masks.data(), block.masks.data() + n_masks, uint64_t{0});
  return place;
}

std::unique_ptr<PostingBlock> make_block(const SparseRows& all, int64_t begin, int64_t end, int64_t n_words,
                                         SparseMetric metric) {
  auto block = std::make_unique<PostingBlock>();
  const int64_t first = all.offsets[begin], nnz = all.offsets[end] - first;
  block->rows = end - begin;
  block->offsets.assign(static_cast<size_t>(n_words) + 1, 0);
  if (metric == SparseMetric::l1) block->start.assign(PostingBlock::kRows, 0.0f);

  for (int64_t i = first; i < first + nnz; ++i) ++block->offsets[all.word_ids[i] + 1];
  const std::vector<int32_t> place = lay_out(*block, n_words);
  std::vector<uint32_t> next_dense = block->begins;
  std::vector<uint32_t> next(block->offsets.begin(), block->offsets.end() - 1);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t from = all.offsets[row], to = all.offsets[row + 1];
    double factor = 1, sum = 0;
    if (metric == SparseMetric::cosine) {
      const double length = length_of(all.weights + from, to - from);
      factor = length > 0 ? 1 / length : 0;
    }
    for (int64_t i = from; i < to; ++i) {
      const int32_t w = all.word_ids[i];
      const float weight = static_cast<float>(factor * all.weights[i]);
      sum += std::fabs(all.weights[i]);
      if (place[w] >= 0) {
        const int64_t panel = (row - begin) / PostingBlock::kPanel, in_panel = (row - begin) % PostingBlock::kPanel;
        block->masks[place[w] * block->panels() + panel] |= uint64_t{1} << in_panel;
        block->dense[next_dense[place[w]]++] = weight;
      } else {
        const uint32_t at = next[w]++;
        block->images[at] = static_cast<uint16_t>(row - begin);
        block->weights[at] = weight;
      }
    }
    if (metric == SparseMetric::l1) block->start[row - begin] = static_cast<float>(sum);
  }
  return block;
}

}  // namespace

int64_t PostingBlock::nbytes() const {
  return static_cast<int64_t>(offsets.size() * sizeof(uint32_t) + start.size() * sizeof(float) +
                              dense_words.size() * (sizeof(int32_t) + sizeof(uint32_t))) +
         dense.size() * static_cast<int64_t>(sizeof(float)) + masks.size() * static_cast<int64_t>(sizeof(uint64_t)) +
         images.size() * static_cast<int64_t>(sizeof(uint16_t) + sizeof(float));
}

int64_t InvertedFile::nbytes() const {
  int64_t total = 0;
  for (const auto& block : blocks_) total += block->nbytes();
  return total;
}

void InvertedFile::rebuild(const SparseRows& all, int64_t from, int n_threads) {
  const int64_t kept = std::min(from, rows_) / PostingBlock::kRows;
  std::vector<std::unique_ptr<PostingBlock>> fresh(static_cast<size_t>(ceil_div(all.rows, PostingBlock::kRows) - kept));
  parallel_for(static_cast<int64_t>(fresh.size()), n_threads, [&](int64_t i, int) {
    const int64_t begin = (kept + i) * PostingBlock::kRows;
    fresh[i] = make_block(all, begin, std::min(all.rows, begin + PostingBlock::kRows), n_words_, metric_);
  });
  blocks_.resize(static_cast<size_t>(kept));
  for (auto& block : fresh) blocks_.push_back(std::move(block));
  rows_ = all.rows;
}

}  // namespace cbir
