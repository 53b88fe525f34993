/** What the network's precision asks of ONNX Runtime. */
#pragma once

#include <string>

#include "onnxruntime/handle.hpp"

namespace sg::ort {

/**
 * Set the session's options for a network of this `precision`: on the CPU int8 weights become float32 once, at load.
 *
 * `providers` is what append_providers returned. Failure SG_NO_ENGINE: none of them can run a bfloat16 network.
 */
void suit_precision(const Library& library, OrtSessionOptions* options, const std::string& precision,
                    const std::string& providers);

}  // namespace sg::ort
