#include "default_request.hpp"

#include "cast.hpp"
#include "error.hpp"
#include "request_rows.hpp"
#include "text.hpp"

namespace sg {

DefaultRequest::DefaultRequest(const Manifest& manifest)
    : samples_(manifest.batch() < 0 ? 1 : manifest.batch()), draws_(manifest.drawn() != nullptr) {
  for (const Tensor& tensor : manifest.inputs) {
    if (is_noise(tensor) || tensor.default_value) continue;
    std::vector<std::int64_t> shape;
    std::size_t count = 1;
    for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
      if (axis > 0 && tensor.shape[axis].symbolic()) {
        throw Failure(SG_BAD_ARGUMENT, cat(tensor.name, " has the free axis ", in_quotes(tensor.shape[axis].symbol),
                                           "; give a request to warm up with"));
      }
      shape.push_back(axis == 0 ? 1 : tensor.shape[axis].size);
      count *= static_cast<std::size_t>(shape.back());
    }
    std::vector<char> values(count * tensor.type().size);
    const double value = tensor.minimum.value_or(tensor.maximum && *tensor.maximum < 0 ? *tensor.maximum : 0.0);
    for (std::size_t i = 0; i < count; ++i) cast_default(tensor.dtype, &values[i * tensor.type().size], value);
    shapes_.push_back(std::move(shape));
    values_.push_back(std::move(values));
    arrays_.push_back({tensor.name.c_str(), values_.back().data(), shapes_.back().data(), shapes_.back().size(),
                       tensor.dtype, 0});
  }
}

sg_request DefaultRequest::request() const {
  sg_request out = SG_REQUEST_INIT;
  out.seed_kind = draws_ ? SG_SEED_ONE : SG_SEED_NONE;
  out.samples = samples_;
  out.inputs = arrays_.data();
  out.input_count = arrays_.size();
  return out;
}

}  // namespace sg
