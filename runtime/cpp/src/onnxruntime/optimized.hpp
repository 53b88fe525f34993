/** Graphs that were optimised offline for ONNX Runtime's CPU provider: loaded as they stand, and only where they fit. */
#pragma once

#include <cstdint>
#include <string>

#include "manifest.hpp"
#include "onnxruntime/handle.hpp"

namespace sg::ort {

/**
 * Set the session's options for `file`: no optimisation at load, and weights packed as the manifest says.
 *
 * `providers` is what append_providers returned. Failure SG_NO_ENGINE: it was optimised for another provider, a newer
 * ONNX Runtime, or another kind of CPU.
 */
void load_as_it_stands(const Library& library, OrtSessionOptions* options, const std::string& file,
                       const OptimizedFor& optimized, const std::string& providers);

/** Channels per block of ONNX Runtime's convolutions on this CPU, as it says itself; 0 if it has none. */
std::int64_t channel_block(const Library& library);

}  // namespace sg::ort
