/** Checks an engine file against its sidecar, before an engine library sees it. */
#pragma once

#include <string>

#include "manifest.hpp"

namespace sg {

/** What is said to be done about an engine that is not right. */
constexpr const char* kRebuild = "build it again with `samplegraph build`";

/** Whether a file of that name is an engine. */
bool is_engine(const std::string& path);

/**
 * The bytes of an engine file that is whole, of the weights that its sidecar describes, and, where the graph it came
 * from lies beside it, of that graph.
 *
 * Failure SG_BAD_FILE.
 */
std::string read_engine(const std::string& file, const Manifest& manifest);

/** Failure SG_NO_ENGINE where that version of the library does not load it. */
void check_library(const std::string& file, const EngineInfo& made, const std::string& version);

/** Failure SG_NO_ENGINE where it was built for another GPU than `here`, as "sm89". */
void check_gpu(const std::string& file, const EngineInfo& made, const std::string& here);

}  // namespace sg
