/** The back end that runs engine files, in TensorRT or TensorRT-RTX. */
#pragma once

#include <memory>
#include <string>

#include "graph.hpp"
#include "manifest.hpp"
#include "settings.hpp"

namespace sg::trt {

/**
 * Load an engine file, which is what the sidecar's `manifest` says.
 *
 * Failure SG_BAD_FILE: see read_engine; or the library refuses it, or finds other inputs and outputs in it.
 * SG_NO_ENGINE: the engine's library or CUDA is missing, there is no such GPU, or it was built for others.
 */
std::unique_ptr<Graph> load(const std::string& file, const Manifest& manifest, const Settings& settings);

}  // namespace sg::trt
