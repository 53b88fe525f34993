/** ONNX Runtime's execution providers. */
#pragma once

#include <string>
#include <vector>

#include "onnxruntime/handle.hpp"
#include "settings.hpp"

namespace sg::ort {

/**
 * Append the providers asked for to the session's options, in order; the CPU stands last by itself.
 *
 * Returns their short names and "cpu", with commas. Failure SG_NO_ENGINE: the library lacks one, or it does not start.
 */
std::string append_providers(const Library& library, OrtSessionOptions* options, const std::vector<Provider>& asked);

}  // namespace sg::ort
