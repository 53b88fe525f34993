#include "engine_info.hpp"

#include "json_fields.hpp"

namespace sg {

EngineInfo read_engine_info(const Json& data) {
  using namespace fields;
  EngineInfo out;
  out.sha256 = text(data, "sha256");
  out.bytes = whole(member(data, "bytes"), "engine.bytes", 0);
  out.graph_sha256 = text(data, "graph_sha256");
  out.weights_sha256 = text(data, "weights_sha256");
  out.builder = text(data, "builder");
  out.builder_version = text(data, "builder_version");
  out.target = text(data, "target");
  if (const Json* compatible = optional(data, "version_compatible")) out.version_compatible = compatible->truth();
  for (const Json& rows : list(data, "batch")) {
    out.batch.push_back(whole(rows, "engine.batch", out.batch.empty() ? 1 : out.batch.back()));
  }
  if (!out.batch.empty() && out.batch.size() != 3) damaged("engine.batch is not three numbers");
  return out;
}

}  // namespace sg
