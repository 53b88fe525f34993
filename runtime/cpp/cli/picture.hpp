/** Samples as one picture: the grid that `samplegraph run` draws, pixel for pixel. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "samplegraph/samplegraph.hpp"

namespace cli {

/** Whether a sample of shape (C, H, W) can be drawn: 1, 3 or 4 channels. */
bool is_picture(const std::vector<std::int64_t>& sample_shape);
/** Throws UsageError where it cannot. */
void check_picture(const std::vector<std::int64_t>& sample_shape);

/** The values that are drawn black and white. */
struct Range {
  double low = -1, high = 1;
};
/** The declared range of an output, else that of samples. */
Range range_of(const sg_tensor_info& output);

/** The bytes of a PNG file of samples (M, C, H, W). Throws UsageError where they hold NaN. */
std::string png_bytes(const samplegraph::Array& samples, Range range = {});

}  // namespace cli
