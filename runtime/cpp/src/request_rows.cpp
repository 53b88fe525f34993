#include "request_rows.hpp"

#include <cstring>

#include "text.hpp"

namespace sg {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw Failure(SG_BAD_ARGUMENT, text); }

/** What says how many samples there are: who, and how many. */
struct Count {
  const char* name = nullptr;
  std::int64_t rows = 1;
};

std::string rows_text(const Count& count) {
  if (std::strcmp(count.name, "samples") == 0) return cat("samples=", count.rows);
  return cat(count.name, " has ", count.rows, count.rows == 1 ? " row" : " rows");
}

std::int64_t count_samples(const Manifest& manifest, const sg_request& request, const Call& call) {
  if (request.samples < 0) {
    refuse(cat("samples=", request.samples, " is not allowed; give a whole number of at least 1"));
  }
  Count first;
  const auto agree = [&](const char* name, std::int64_t rows) {
    if (first.name == nullptr) {
      first = {name, rows};
    } else if (first.rows != rows) {
      refuse(cat(rows_text({name, rows}), ", ", rows_text(first),
                 "; give one row per sample, or one of a condition for all"));
    }
  };
  if (request.samples > 0) agree("samples", request.samples);
  if (request.seed_kind == SG_SEED_EACH) agree("seed", static_cast<std::int64_t>(request.seed_count));
  for (const bool noise : {true, false}) {
    for (std::size_t i = 0; i < manifest.inputs.size(); ++i) {
      const Tensor& tensor = manifest.inputs[i];
      if (is_noise(tensor) != noise || (noise && call.drawn) || !tensor.row_axis()) continue;
      const std::int64_t rows = call.given[i].rows(tensor);
      if (noise || rows > 1) agree(argument_name(tensor), rows);
    }
  }
  return first.rows;
}

std::int64_t axis_size(const Manifest& manifest, const Call& call, std::size_t input, std::size_t axis) {
  const Tensor& tensor = manifest.inputs[input];
  if (axis == tensor.row_axis()) return call.samples;
  return tensor.shape[axis].symbolic() ? call.given[input].shape[axis] : tensor.shape[axis].size;
}

/** A symbolic axis that several inputs share has one size. */
void check_symbols(const Manifest& manifest, const Call& call) {
  for (std::size_t i = 0; i < manifest.inputs.size(); ++i) {
    for (std::size_t axis = 0; axis < manifest.inputs[i].shape.size(); ++axis) {
      const Axis& wanted = manifest.inputs[i].shape[axis];
      if (!wanted.symbolic()) continue;
      for (std::size_t j = 0; j <= i; ++j) {
        const Tensor& other = manifest.inputs[j];
        for (std::size_t k = 0; k < (j == i ? axis : other.shape.size()); ++k) {
          if (!other.shape[k].symbolic() || other.shape[k].symbol != wanted.symbol) continue;
          const std::int64_t size = axis_size(manifest, call, i, axis), known = axis_size(manifest, call, j, k);
          if (size == known) continue;
          refuse(cat(manifest.inputs[i].name, " has ", size, " along ", in_quotes(wanted.symbol), ", ", other.name,
                     " has ", known, "; make them equal"));
        }
      }
    }
  }
}

/** The axes of one call of the graph: B rows, or all M of them where the batch is symbolic, if an engine takes so many. */
void set_shapes(const Manifest& manifest, Call& call) {
  const std::int64_t rows = manifest.rows(call.samples);
  for (std::size_t i = 0; i < manifest.inputs.size(); ++i) {
    const Tensor& tensor = manifest.inputs[i];
    for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
      call.shapes[i][axis] = axis == tensor.row_axis() ? rows : axis_size(manifest, call, i, axis);
    }
  }
  call.output_shape[0] = rows;
}

}  // namespace

void settle_rows(const Manifest& manifest, const sg_request& request, Call& call) {
  call.samples = count_samples(manifest, request, call);
  check_symbols(manifest, call);
  set_shapes(manifest, call);
}

}  // namespace sg
