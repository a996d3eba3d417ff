// A growable-once buffer aligned to a cache line, for packed panels and scratch space. Contents are not initialised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "core/matrix.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace cbir {

template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(int64_t size) : size_(size) {
    const int64_t bytes = checked_mul(size, static_cast<int64_t>(sizeof(T)));
    if (bytes == 0) return;
    data_ = static_cast<T*>(::operator new(static_cast<size_t>(bytes), alignment()));
#ifdef __linux__
    if (alignment() == kHugePage) madvise(data_, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // a wish: it may fail
#endif
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept { swap(other); }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer() {
    if (data_) ::operator delete(data_, alignment());
  }

  T* data() const { return data_; }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  static constexpr std::align_val_t kAlignment{64}, kHugePage{2 << 20};

  // Large buffers ask for huge pages: where lists begin at random places, each small page costs a walk through the page
  // tables.
  std::align_val_t alignment() const {
    return size_ * static_cast<int64_t>(sizeof(T)) >= (1 << 20) ? kHugePage : kAlignment;
  }

  void swap(AlignedBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace cbir
