// k-means (Lloyd, IEEE Trans. Inf. Theory 1982): packed words, assignment, Lloyd's iterations, seeding.
//
// Cost of an assignment: n k d multiply-adds, no memory beyond the packed words. Everything is cut into chunks of
// points of a fixed size, and sums are added in an order that depends on the data alone: the same bytes for any
// n_threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/aligned.h"
#include "core/matrix.h"
#include "kmeans/filter.h"
#include "kmeans/kernels.h"

namespace cbir::kmeans {

// A vocabulary made ready for the kernels. Refers to `centroids`, which must outlive it.
class Words {
 public:
  explicit Words(Matrix<const float> centroids);

  int64_t size() const { return centroids_.rows; }
  int64_t d() const { return centroids_.cols; }
  Matrix<const float> centroids() const { return centroids_; }

  // word_ids (x.rows,): the nearest word of each point, ties to the lower one.
  // distances (x.rows,) or null: |x - c|^2 to it, by direct differences.
  // Throws std::invalid_argument where x holds NaN or infinity.
  void assign(Matrix<const float> x, int n_threads, int32_t* word_ids, float* distances) const;

  // word_ids (x.rows, n_assign): the nearest words by the very scores that assign() compares, ties to the lower word.
  // So the first is the word of assign(), and the answer for n_assign is a prefix of that for n_assign + 1. distances
  // (x.rows, n_assign): |x - c|^2 to them, by direct differences; they rise, but where two scores tie within their
  // rounding (kernels.h). Throws as assign() does.
  void nearest(Matrix<const float> x, int64_t n_assign, int n_threads, int32_t* word_ids, float* distances) const;

  // Points that the 8-bit filter has decided so far, over all calls; the others went to the plain kernel.
  int64_t n_filtered() const { return n_filtered_.load(std::memory_order_relaxed); }

 private:
  double pack();
  void assign_chunk(Matrix<const float> x, const Kernels& kernels, const FilterKernels* filter,
                    int32_t* word_ids) const;
  void assign_plain(Matrix<const float> x, const Kernels& kernels, int32_t* word_ids) const;
  std::vector<double> scores_in_double(const float* x) const;

  Matrix<const float> centroids_;
  int64_t n_panels_;
  AlignedBuffer<float> panels_;  // (n_panels, d, 64)
  AlignedBuffer<float> bias_;    // (n_panels * 64,)
  AlignedBuffer<float> origin_;  // (d,) what points and words are taken relative to when scored; empty: 0
  AlignedBuffer<float> moved_;   // (size, d) words relative to the origin; empty where that is 0
  Matrix<const float> scored_;   // centroids_ or moved_
  FilterWords filter_;           // 8-bit twin of the panels, empty for small vocabularies
  mutable std::atomic<int64_t> n_filtered_{0};
};

struct LloydResult {
  std::vector<double> inertia;  // of each assignment; the last one belongs to the final centroids
  int64_t n_repaired = 0;       // empty words that were given a point, over all iterations
};

// Up to n_iter times: assign, repair empty words, move each centroid to the mean of its points. Stops when no point
// changes its word.
// on_assignment, if not empty, is called after each assignment with how many there have been.
LloydResult lloyd(Matrix<const float> x, Matrix<float> centroids, int64_t n_iter, int n_threads,
                  const std::function<void(int64_t)>& on_assignment);

// Rows of x (n_words,) to start from, chosen by k-means++ (see seed.cpp).
std::vector<int64_t> seed_rows(Matrix<const float> x, int64_t n_words, uint64_t seed, int n_threads);

// Below this many words seed_rows() draws one word at a time, above it in batches.
inline constexpr int64_t kExactSeeds = 256;

}  // namespace cbir::kmeans
