/** One call: how many samples, and every input of the graph for all of them. */
#pragma once

#include <cstdint>
#include <vector>

#include "inputs.hpp"
#include "manifest.hpp"

namespace sg {

/** A checked request. Its vectors have one entry per input of the graph and keep their memory from call to call. */
struct Call {
  std::int64_t samples = 0;  // M
  bool drawn = false;        // noise comes from seeds, not from the caller
  std::vector<Given> given;  // data null: drawn noise, or the default
  std::vector<std::vector<std::int64_t>> shapes;  // of one call of the graph
  std::vector<std::int64_t> output_shape;

  explicit Call(const Manifest& manifest);
};

/** A request as this library knows it, whatever version of the structure the caller has. */
sg_request known_fields(const sg_request* request);

/**
 * Check everything that a caller gave, and fill `call`.
 *
 * Failure SG_BAD_ARGUMENT: a name, dtype, shape, value or number of rows is not allowed, or something is missing.
 */
void assemble(const Manifest& manifest, const sg_request& request, Call& call);

}  // namespace sg
