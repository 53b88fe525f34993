#include "manifest.hpp"

#include <algorithm>

#include "text.hpp"

namespace sg {
namespace {

/** Elements behind the row axis. */
std::int64_t row_size(const Tensor& tensor) {
  std::int64_t size = 1;
  for (std::size_t axis = *tensor.row_axis() + 1; axis < tensor.shape.size(); ++axis) size *= tensor.shape[axis].size;
  return size;
}

}  // namespace

std::optional<std::size_t> Tensor::row_axis() const {
  if (shape.empty()) return std::nullopt;
  return role == SG_STEP_NOISE ? 1 : 0;
}

std::string Tensor::shape_text() const {
  std::string out = "(";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis > 0) out += ", ";
    if (axis == row_axis()) out += "M";
    else out += shape[axis].symbolic() ? shape[axis].symbol : std::to_string(shape[axis].size);
  }
  return out + (shape.size() == 1 ? ",)" : ")");
}

std::string Tensor::range_text() const {
  if (minimum && maximum) return cat(float_short(*minimum), "..", float_short(*maximum));
  if (minimum) return cat("at least ", float_short(*minimum));
  return maximum ? cat("at most ", float_short(*maximum)) : "";
}

const Tensor* Manifest::input(std::int32_t role) const {
  for (const Tensor& tensor : inputs) {
    if (tensor.role == role) return &tensor;
  }
  return nullptr;
}

const Tensor* Manifest::drawn() const {
  const Tensor* noise = input(SG_NOISE);
  return noise != nullptr ? noise : input(SG_STEP_NOISE);
}

std::int64_t Manifest::rows(std::int64_t samples) const {
  if (batch() >= 0) return batch();
  if (!engine || engine->batch.empty()) return samples;
  return std::clamp(samples, engine->batch.front(), engine->batch.back());
}

std::int64_t Manifest::sample_size() const { return row_size(outputs[0]); }
std::int64_t Manifest::noise_size() const { return row_size(*drawn()); }

}  // namespace sg
