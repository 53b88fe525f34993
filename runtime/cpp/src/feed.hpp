/** Rows of a request into the buffers of one call of the graph. */
#pragma once

#include <cstdint>

#include "backend.hpp"
#include "request.hpp"

namespace sg {

/**
 * Fill and send every input with rows `start` to `start + B - 1` of the request; rows past the last one repeat it.
 *
 * `noise` and `step_noise` hold the drawn noise of all M samples; null where the caller gave his own.
 */
void feed(const Manifest& manifest, const Call& call, std::int64_t start, const void* noise, const void* step_noise,
          Binding& binding);

}  // namespace sg
