// Making a block: a counting sort of its entries by word, which keeps the images of a word in order. The weights of
// dense words go to a place of their own.
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/aligned.h"
#include "core/parallel.h"
#include "inverted_file/inverted_file.h"

namespace cbir::inverted_file {
namespace {

struct Memory {
  std::vector<uint32_t> offsets, begins;
  std::vector<float> sums;
  std::vector<int32_t> dense_words;
  AlignedBuffer<uint16_t> images;
  AlignedBuffer<float> weights, dense;
  AlignedBuffer<uint64_t> masks;
};

// Turns the counts in offsets[w + 1] into offsets, and sets dense words apart: gives each word's place among the dense
// words, or -1.
std::vector<int32_t> lay_out(Memory& m, int64_t n_words, int64_t panels) {
  std::vector<int32_t> place(static_cast<size_t>(n_words), -1);
  uint32_t dense = 0;
  for (int64_t w = 0; w < n_words; ++w) {
    if (m.offsets[w + 1] * Block::kDenseShare >= panels * Block::kPanel) {
      place[w] = static_cast<int32_t>(m.dense_words.size());
      m.dense_words.push_back(static_cast<int32_t>(w));
      m.begins.push_back(dense);
      dense += m.offsets[w + 1];
      m.offsets[w + 1] = 0;
    }
    m.offsets[w + 1] += m.offsets[w];
  }
  m.images = AlignedBuffer<uint16_t>(m.offsets[n_words]);
  m.weights = AlignedBuffer<float>(m.offsets[n_words]);
  m.dense = AlignedBuffer<float>(dense + 16);  // a kernel loads 16 weights at a time
  std::fill(m.dense.data(), m.dense.data() + m.dense.size(), 0.0f);
  const int64_t n_masks = checked_mul(static_cast<int64_t>(m.dense_words.size()), panels);
  m.masks = AlignedBuffer<uint64_t>(n_masks);
  std::fill(m.masks.data(), m.masks.data() + n_masks, uint64_t{0});
  return place;
}

struct Lengths {
  double euclidean = 0, manhattan = 0;

  explicit Lengths(const Entries& row) {
    for (int64_t i = 0; i < row.n; ++i) {
      euclidean += static_cast<double>(row.weights[i]) * row.weights[i];
      manhattan += std::fabs(static_cast<double>(row.weights[i]));
    }
    euclidean = std::sqrt(euclidean);
  }
};

// Puts the entries of a row into their places.
void place_row(Memory& m, const Entries& row, int64_t at, double factor, int64_t panels,
               const std::vector<int32_t>& place, std::vector<uint32_t>& next, std::vector<uint32_t>& next_dense) {
  for (int64_t i = 0; i < row.n; ++i) {
    const int32_t w = row.words[i];
    const float weight = static_cast<float>(factor * row.weights[i]);
    if (place[w] >= 0) {
      m.masks[place[w] * panels + at / Block::kPanel] |= uint64_t{1} << at % Block::kPanel;
      m.dense[next_dense[place[w]]++] = weight;
    } else {
      const uint32_t to = next[w]++;
      m.images[to] = static_cast<uint16_t>(at);
      m.weights[to] = weight;
    }
  }
}

std::shared_ptr<const Block> make_block(const Rows& all, int64_t begin, int64_t end, int64_t n_words, Metric metric) {
  auto memory = std::make_shared<Memory>();
  auto block = std::make_shared<Block>();
  Memory& m = *memory;
  block->rows = end - begin;
  m.offsets.assign(static_cast<size_t>(n_words) + 1, 0);
  for (int64_t i = all.offsets[begin]; i < all.offsets[end]; ++i) ++m.offsets[all.word_ids[i] + 1];
  const std::vector<int32_t> place = lay_out(m, n_words, block->panels());
  std::vector<uint32_t> next(m.offsets.begin(), m.offsets.end() - 1), next_dense = m.begins;
  for (int64_t row = begin; row < end; ++row) {
    const Entries entries = all[row];
    const Lengths lengths(entries);
    const bool euclidean = metric == Metric::ip || metric == Metric::cosine;
    block->longest = std::max(block->longest, entries.n);
    block->largest = std::max(block->largest, euclidean ? lengths.euclidean : lengths.manhattan);
    if (metric == Metric::l1) m.sums.push_back(static_cast<float>(lengths.manhattan));
    const double factor = metric != Metric::cosine ? 1 : lengths.euclidean > 0 ? 1 / lengths.euclidean : 0;
    place_row(m, entries, row - begin, factor, block->panels(), place, next, next_dense);
  }
  block->offsets = {m.offsets.data(), n_words + 1};
  block->images = {m.images.data(), m.images.size()};
  block->weights = m.weights.data();
  block->sums = {m.sums.data(), static_cast<int64_t>(m.sums.size())};
  block->dense_words = {m.dense_words.data(), static_cast<int64_t>(m.dense_words.size())};
  block->begins = m.begins.data();
  block->masks = m.masks.data();
  block->dense = {m.dense.data(), m.dense.size() - 16};
  block->memory = std::move(memory);
  return block;
}

}  // namespace

int64_t Postings::rows_kept() const {
  int64_t kept = 0;
  for (const auto& block : blocks_) kept += block->rows == Block::kRows ? Block::kRows : 0;
  return kept;
}

Postings Postings::extended(const Rows& all, int n_threads) const {
  const int64_t kept = std::min(rows_kept(), all.rows) / Block::kRows, end = rows_in_blocks(all.rows);
  std::vector<std::shared_ptr<const Block>> blocks(blocks_.begin(), blocks_.begin() + kept);
  blocks.resize(static_cast<size_t>(ceil_div(end, Block::kRows)));
  parallel_for(static_cast<int64_t>(blocks.size()) - kept, n_threads, [&](int64_t i, int) {
    const int64_t begin = (kept + i) * Block::kRows;
    blocks[kept + i] = make_block(all, begin, std::min(end, begin + Block::kRows), n_words_, metric_);
  });
  return {n_words_, metric_, std::move(blocks)};
}

}  // namespace cbir::inverted_file
