/** Memory of what a caller gives for one batch, in the graph's types. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "manifest.hpp"
#include "mirror.hpp"

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

/** Memory of each input of the manifest, and the shapes that its owner has bound. */
class CallerMemory {
 public:
  CallerMemory(const Manifest& manifest, Lane& lane) : inputs_(manifest.inputs) {
    for (std::size_t i = 0; i < inputs_.size(); ++i) mirrors_.emplace_back(lane);
  }

  /** Whether these shapes are settled. */
  bool has(const std::vector<Shape>& inputs, const Shape& output) const {
    return settled_ && inputs == shapes_ && output == output_;
  }
  /** Make room; nothing is settled from here on, so that what fails half-way is done again. */
  void reserve(const std::vector<Shape>& inputs, const Shape& output) {
    settled_ = false;
    for (std::size_t i = 0; i < inputs.size(); ++i) mirrors_[i].reserve(byte_count(inputs_[i].dtype, inputs[i]));
    shapes_ = inputs;
    output_ = output;
  }
  void settled() { settled_ = true; }
  Mirror& input(std::size_t index) { return mirrors_[index]; }
  const Shape& shape(std::size_t index) const { return shapes_[index]; }

 private:
  const std::vector<Tensor>& inputs_;
  std::vector<Mirror> mirrors_;
  std::vector<Shape> shapes_;
  Shape output_;
  bool settled_ = false;
};

}  // namespace sg
