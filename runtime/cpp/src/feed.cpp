#include "feed.hpp"

#include <algorithm>

#include "cast.hpp"

namespace sg {
namespace {

/** An input as blocks: `outer` times the rows, each of `inner` elements. */
struct Layout {
  std::size_t outer = 1, rows = 1, inner = 1;
};

Layout layout(const Tensor& tensor, const std::vector<std::int64_t>& shape) {
  Layout out;
  const auto axis = tensor.row_axis();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto size = static_cast<std::size_t>(shape[i]);
    if (i == axis) out.rows = size;
    else if (axis && i < *axis) out.outer *= size;
    else out.inner *= size;
  }
  return out;
}

void fill_default(const Tensor& tensor, const Layout& to, void* out) {
  const std::size_t count = to.outer * to.rows * to.inner, width = tensor.type().size;
  for (std::size_t i = 0; i < count; ++i) {
    cast_default(tensor.dtype, static_cast<char*>(out) + i * width, *tensor.default_value);
  }
}

}  // namespace

void feed(const Manifest& manifest, const Call& call, std::int64_t start, const void* noise, const void* step_noise,
          Binding& binding) {
  for (std::size_t i = 0; i < manifest.inputs.size(); ++i) {
    const Tensor& tensor = manifest.inputs[i];
    const Layout to = layout(tensor, call.shapes[i]);
    const Given& given = call.given[i];
    const void* data = given.data;
    std::int32_t dtype = given.dtype;
    auto rows = static_cast<std::size_t>(call.samples);
    if (tensor.role == SG_NOISE || tensor.role == SG_STEP_NOISE) {
      if (call.drawn) {
        data = tensor.role == SG_NOISE ? noise : step_noise;
        dtype = tensor.dtype;
      }
    } else if (data == nullptr) {
      fill_default(tensor, to, binding.input(i).host());
      binding.input(i).send();
      continue;
    } else {
      rows = static_cast<std::size_t>(given.rows(tensor));
    }
    const std::size_t width = tensor.type().size;
    Mirror& memory = binding.input(i);
    char* out = static_cast<char*>(given.on_device ? memory.graph() : memory.host());
    for (std::size_t block = 0; block < to.outer; ++block) {
      std::size_t row = 0;
      while (row < to.rows) {  // runs of successive rows at once; one row for all, and padding, row by row
        const std::size_t wanted = static_cast<std::size_t>(start) + row;
        const std::size_t from = std::min(wanted, rows - 1);
        const std::size_t run = wanted < rows ? std::min(to.rows - row, rows - wanted) : 1;
        const std::size_t first = (block * rows + from) * to.inner;
        if (given.on_device) {
          binding.lane().copy(out, static_cast<const char*>(data) + first * width, run * to.inner * width);
        } else {
          cast_elements(tensor.dtype, out, dtype, data, first, run * to.inner);
        }
        out += run * to.inner * width;
        row += run;
      }
    }
    if (!given.on_device) memory.send();
  }
}

}  // namespace sg
