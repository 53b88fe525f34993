/** The back end that runs graphs in ONNX Runtime. */
#pragma once

#include <memory>
#include <string>

#include "graph.hpp"
#include "manifest.hpp"
#include "settings.hpp"

namespace sg::ort {

/**
 * Load `file`, which is what `manifest` says.
 *
 * Failure SG_NO_ENGINE: ONNX Runtime or a provider is missing. SG_BAD_FILE: the graph is refused, is not what the
 * manifest says, or its weights are missing or lie outside its folder.
 */
std::unique_ptr<Graph> load(const std::string& file, const Manifest& manifest, const Settings& settings);

}  // namespace sg::ort
