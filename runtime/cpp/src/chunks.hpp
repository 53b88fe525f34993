/** The chunked layout: a set of graphs that hand the sample and the solver's state on. */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend.hpp"
#include "manifest.hpp"

namespace sg {

/**
 * All files of the set that `path` belongs to, in order.
 *
 * Failure SG_BAD_FILE: it is not called `<stem>.chunk-NN.onnx`, or `<stem>.chunk-NN.sm89.engine`; one of the set is missing.
 */
std::vector<std::string> chunk_files(const std::string& path, const Chunk& chunk);

/**
 * Runs the set that `path` belongs to; each chunk is a part.
 *
 * Failure SG_BAD_FILE: a file is missing or foreign, or does not take what the one before it gives.
 */
std::unique_ptr<Backend> load_chunks(const std::string& path, const Manifest& manifest, const LoadGraph& load);

}  // namespace sg
