/** Memory that grows and is reused. */
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace sg {

/** Bytes on a cache line's boundary, not initialised; what they held is lost when they grow. */
class Buffer {
 public:
  void reserve(std::size_t bytes) {
    if (bytes <= size_) return;
    data_.reset();
    size_ = 0;
    if (bytes > static_cast<std::size_t>(-1) / 2) throw std::bad_alloc();
    data_.reset(std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment));
    if (!data_) throw std::bad_alloc();
    size_ = bytes;
  }
  void* data() const { return data_.get(); }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace sg
