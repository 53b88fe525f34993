/** Memory of what a caller gives for one batch, in the graph's types. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "buffer.hpp"
#include "manifest.hpp"

namespace sg {

using Shape = std::vector<std::int64_t>;

/** Throws std::bad_alloc where no memory holds it. */
inline std::size_t byte_count(std::int32_t dtype, const Shape& shape) {
  std::size_t bytes = dtype_info(dtype)->size;
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(size), &bytes)) throw std::bad_alloc();
  }
  return bytes;
}

/** One buffer per input of the manifest, and the shapes that its owner has bound. */
class CallerMemory {
 public:
  explicit CallerMemory(const Manifest& manifest) : inputs_(manifest.inputs), buffers_(manifest.inputs.size()) {}

  /** Whether these shapes are settled. */
  bool has(const std::vector<Shape>& inputs, const Shape& output) const {
    return settled_ && inputs == shapes_ && output == output_;
  }
  /** Make room; nothing is settled from here on, so that what fails half-way is done again. */
  void reserve(const std::vector<Shape>& inputs, const Shape& output) {
    settled_ = false;
    for (std::size_t i = 0; i < inputs.size(); ++i) buffers_[i].reserve(byte_count(inputs_[i].dtype, inputs[i]));
    shapes_ = inputs;
    output_ = output;
  }
  void settled() { settled_ = true; }
  void* data(std::size_t index) { return buffers_[index].data(); }
  const Shape& shape(std::size_t index) const { return shapes_[index]; }

 private:
  const std::vector<Tensor>& inputs_;
  std::vector<Buffer> buffers_;
  std::vector<Shape> shapes_;
  Shape output_;
  bool settled_ = false;
};

}  // namespace sg
