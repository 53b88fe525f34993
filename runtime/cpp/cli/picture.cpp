#include "cli/picture.hpp"

#include <stb_image_write.h>

#include <algorithm>
#include <cmath>

#include "cli/error.hpp"

namespace cli {
namespace {

constexpr int kTile = 128, kLimit = 2048;  // pixels per side that a sample is scaled towards; limit for the picture

/** Columns of a grid with few empty places, not much wider than high; up to 5 samples stand in a row. */
int columns_for(int count) {
  if (count <= 5) return count;
  int square = static_cast<int>(std::sqrt(static_cast<double>(count)));
  while (square * square < count) ++square;
  int best = square, fewest = count;
  for (int columns = square; columns <= 2 * square; ++columns) {
    const int empty = (count + columns - 1) / columns * columns - count;
    if (empty < fewest) {
      fewest = empty;
      best = columns;
    }
  }
  return best;
}

std::vector<double> doubles(const samplegraph::Array& samples) {
  std::vector<double> out(samples.size());
  if (samples.dtype() == SG_FLOAT64) std::copy_n(samples.data<double>(), out.size(), out.begin());
  else if (samples.dtype() == SG_FLOAT32) std::copy_n(samples.data<float>(), out.size(), out.begin());
  else refuse("samples of ", sg_dtype_name(samples.dtype()), " cannot be drawn; give an --output that ends in .npy");
  for (const double value : out) {
    if (!std::isfinite(value)) {
      refuse("the samples hold NaN or infinity and cannot be drawn; write .npy to look at them");
    }
  }
  return out;
}

void append(void* out, void* data, int size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

}  // namespace

bool is_picture(const std::vector<std::int64_t>& shape) {
  return shape.size() == 3 && (shape[0] == 1 || shape[0] == 3 || shape[0] == 4);
}

void check_picture(const std::vector<std::int64_t>& shape) {
  if (is_picture(shape)) return;
  std::string text;
  for (const std::int64_t axis : shape) text += (text.empty() ? "" : ", ") + std::to_string(axis);
  refuse("a sample of shape (", text, shape.size() == 1 ? "," : "", ") is no picture, which is (1, 3 or 4 channels, ",
         "height, width); give an --output that ends in .npy");
}

Range range_of(const sg_tensor_info& output) {
  if (std::isnan(output.minimum) || std::isnan(output.maximum)) return {};
  return {output.minimum, output.maximum};
}

std::string png_bytes(const samplegraph::Array& samples, Range range) {
  const std::vector<double> values = doubles(samples);
  const int count = static_cast<int>(samples.shape()[0]), channels = static_cast<int>(samples.shape()[1]);
  const int height = static_cast<int>(samples.shape()[2]), width = static_cast<int>(samples.shape()[3]);
  const int side = std::max(height, width), columns = columns_for(count), rows = (count + columns - 1) / columns;
  const int scale = std::max(1, std::min(kTile / side, kLimit / (std::max(columns, rows) * side)));
  const int gap = count > 1 ? std::max(2, scale * side / 16) : 0;
  const int tile_height = scale * height + gap, tile_width = scale * width + gap;
  const int full_width = columns * tile_width + gap, full_height = rows * tile_height + gap;
  std::vector<std::uint8_t> canvas(static_cast<std::size_t>(full_width) * static_cast<std::size_t>(full_height) *
                                       static_cast<std::size_t>(channels), 255);
  for (int i = 0; i < count; ++i) {
    const int top = (i / columns) * tile_height + gap, left = (i % columns) * tile_width + gap;
    for (int y = 0; y < scale * height; ++y) {
      for (int x = 0; x < scale * width; ++x) {
        for (int channel = 0; channel < channels; ++channel) {
          const int from = ((i * channels + channel) * height + y / scale) * width + x / scale;
          const double value = std::clamp(values[static_cast<std::size_t>(from)], range.low, range.high);
          const double unit = (value - range.low) / (range.high - range.low);
          const int to = ((top + y) * full_width + left + x) * channels + channel;
          canvas[static_cast<std::size_t>(to)] = static_cast<std::uint8_t>(std::nearbyint(unit * 255));
        }
      }
    }
  }
  std::string out;
  if (stbi_write_png_to_func(append, &out, full_width, full_height, channels, canvas.data(), full_width * channels) == 0) {
    refuse("the picture cannot be encoded (out of memory)");
  }
  return out;
}

}  // namespace cli
