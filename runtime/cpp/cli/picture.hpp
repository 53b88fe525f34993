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

/** The bytes of a PNG file of samples (M, C, H, W) in [-1, 1]. Throws UsageError where they hold NaN. */
std::string png_bytes(const samplegraph::Array& samples);

}  // namespace cli
