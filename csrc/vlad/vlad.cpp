#include "vlad/vlad.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "core/by_word.h"
#include "core/parallel.h"
#include "simd/level.h"

namespace cbir::vlad {
namespace {

constexpr simd::Table<const Kernels*> kTable{&kGeneric, CBIR_X86_ROWS(&kAvx2, &kAvx512, nullptr)};

// Images per chunk: enough to pay for the chunk's scratch space, few enough to share out evenly.
constexpr int64_t kImagesPerChunk = 8;

double total(const double* lanes) {
  double sums[kLanes];
  std::copy(lanes, lanes + kLanes, sums);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

// Makes v a unit vector, unless it is zero; `squares` is |v|^2.
void normalise(const Kernels& kernels, float* v, int64_t d, double squares) {
  if (!(squares > 0)) return;
  if (!std::isfinite(squares))
    throw std::invalid_argument("a sum of residuals is beyond float32; scale the descriptors down");
  const double factor = 1.0 / std::sqrt(squares);
  using Limits = std::numeric_limits<float>;
  if (factor >= Limits::min() && factor <= Limits::max()) return kernels.scale(v, d, static_cast<float>(factor));
  // The factor of the least and the largest vectors is no normal float32.
  for (int64_t t = 0; t < d; ++t) v[t] = static_cast<float>(v[t] * factor);
}

void encode_one(const Kernels& kernels, const float* x, const int32_t* word_ids, int64_t n,
                Matrix<const float> centroids, Options options, ByWord& words, float* out) {
  const int64_t k = centroids.rows, d = centroids.cols;
  words.sort(word_ids, n, k);
  double image_lanes[kLanes] = {};
  int64_t n_blocks = 0;  // that are not zero
  for (int64_t w = 0; w < k; ++w) {
    float* block = out + w * d;
    const int64_t count = words.count(w);
    if (count == 0) {
      std::fill(block, block + d, 0.0f);
      continue;
    }
    kernels.sum_residuals(x, words.rows(w), count, centroids.row(w), d, block);
    if (options.signed_sqrt) kernels.signed_sqrt(block, d);
    if (options.intra) {
      double lanes[kLanes] = {};
      kernels.add_squares(block, d, lanes);
      const double squares = total(lanes);
      normalise(kernels, block, d, squares);
      n_blocks += squares > 0;
    } else if (options.l2) {
      kernels.add_squares(block, d, image_lanes);
    }
  }
  if (!options.l2) return;
  // After intra-normalisation each block that isn't zero has length 1.
  normalise(kernels, out, k * d, options.intra ? static_cast<double>(n_blocks) : total(image_lanes));
}

// Calls each(b, words) for every image b, with scratch space for the order of its words.
template <class Each>
void for_images(int64_t n, int n_threads, Each each) {
  parallel_for(ceil_div(n, kImagesPerChunk), n_threads, [&](int64_t chunk, int) {
    ByWord words;
    const int64_t end = std::min(n, (chunk + 1) * kImagesPerChunk);
    for (int64_t b = chunk * kImagesPerChunk; b < end; ++b) each(b, words);
  });
}

}  // namespace

void encode(Matrix<const float> x, Span<const int64_t> offsets, Span<const int32_t> word_ids,
            Matrix<const float> centroids, Options options, int n_threads, Matrix<float> out) {
  const Kernels& kernels = *simd::pick(kTable);
  for_images(offsets.size - 1, n_threads, [&](int64_t b, ByWord& words) {
    const int64_t begin = offsets[b];
    encode_one(kernels, x.row(begin), word_ids.data + begin, offsets[b + 1] - begin, centroids, options, words,
               out.row(b));
  });
}

void transform(Matrix<const float> x, Span<const int64_t> offsets, const kmeans::Words& words, Options options,
               int n_threads, Matrix<float> out) {
  const Kernels& kernels = *simd::pick(kTable);
  for_images(offsets.size - 1, n_threads, [&](int64_t b, ByWord& order) {
    const Matrix<const float> rows = x.some_rows(offsets[b], offsets[b + 1] - offsets[b]);
    std::vector<int32_t> word_ids(static_cast<size_t>(rows.rows));
    words.assign(rows, 1, word_ids.data(), nullptr);
    encode_one(kernels, rows.data, word_ids.data(), rows.rows, words.centroids(), options, order, out.row(b));
  });
}

}  // namespace cbir::vlad
