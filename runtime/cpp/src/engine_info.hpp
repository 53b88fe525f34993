/** What a manifest says of an engine file, and what it was built from; see samplegraph.runtime.engine_info. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "json.hpp"

namespace sg {

struct EngineInfo {
  std::string sha256, graph_sha256, weights_sha256;
  std::int64_t bytes = 0;
  std::string builder, builder_version, target;
  bool version_compatible = false;  // later versions of the same major one load it too; it carries host code of its own
  std::vector<std::int64_t> batch;  // smallest, best and largest number of rows of a call; empty: static
};

/** Failure as fields::damaged where a field is missing or wrong. */
EngineInfo read_engine_info(const Json& data);

}  // namespace sg
