/** One input: whether what a caller gives is what the graph can take. */
#pragma once

#include <cstdint>
#include <string>

#include "error.hpp"
#include "manifest.hpp"

namespace sg {

/** What a caller gives for an input, with its row axis in place. */
struct Given {
  const void* data = nullptr;
  std::int32_t dtype = 0;
  std::size_t rank = 0;
  std::int64_t shape[kMaxRank] = {};
  std::size_t elements = 0;
  bool on_device = false;  // data is memory of the graphs' GPU

  /** Rows along the tensor's row axis; 1 for a scalar. */
  std::int64_t rows(const Tensor& tensor) const {
    const auto axis = tensor.row_axis();
    return axis ? shape[*axis] : 1;
  }
};

/**
 * Check `array` against `tensor`: dtype, axes, finite values, range. A condition may leave out its row axis. Values on a
 * device are not looked at, and have to be of the tensor's own dtype.
 *
 * Failure SG_BAD_ARGUMENT, in the words of the Python runtime.
 */
Given check_input(const Tensor& tensor, const sg_array& array, bool on_device);

/** The error of an input that is not given. */
Failure missing(const Tensor& tensor, const char* note = "");

}  // namespace sg
