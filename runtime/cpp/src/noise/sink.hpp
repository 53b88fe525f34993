/** Where random numbers go: float32 or float16 elements in memory. */
#pragma once

#include <cstddef>
#include <cstring>

#include "half.hpp"

namespace sg::noise {

enum class Type { float32, float16 };

/** An array of `type`; half values are float32 values rounded to nearest even. */
class Sink {
 public:
  Sink(void* data, Type type) : data_(static_cast<char*>(data)), type_(type) {}
  Type type() const { return type_; }
  Sink from(std::size_t element) const { return {data_ + element * size(), type_}; }

  void store(std::size_t at, const float* values, std::size_t count) const {
    if (type_ == Type::float32) {
      std::memcpy(data_ + at * 4, values, count * 4);
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Half half = double_to_half(values[i]);
      std::memcpy(data_ + (at + i) * 2, &half.bits, 2);
    }
  }

 private:
  std::size_t size() const { return type_ == Type::float32 ? 4 : 2; }
  char* data_;
  Type type_;
};

}  // namespace sg::noise
