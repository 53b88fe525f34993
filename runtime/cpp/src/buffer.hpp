/** Memory that grows and is reused. */
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace sg {

/** Bytes on a cache line's boundary, for std::free. Throws std::bad_alloc. */
inline void* allocate_aligned(std::size_t bytes) {
  constexpr std::size_t alignment = 64;
  if (bytes > static_cast<std::size_t>(-1) / 2) throw std::bad_alloc();
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

/** Host memory, not initialised; what it held is lost when it grows. */
class Buffer {
 public:
  void reserve(std::size_t bytes) {
    if (bytes <= size_) return;
    data_.reset();
    size_ = 0;
    data_.reset(allocate_aligned(bytes));
    size_ = bytes;
  }
  void* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace sg
