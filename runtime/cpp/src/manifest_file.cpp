/** Where a manifest is found: inside an ONNX file, or in the sidecar beside a graph or an engine. */
#include "engine_file.hpp"
#include "error.hpp"
#include "file.hpp"
#include "manifest.hpp"
#include "text.hpp"

namespace sg {

Manifest read_manifest(const std::string& path) {
  if (ends_with(path, ".json")) return parse_manifest(read_text(path), path);
  const std::string sidecar = path + ".json";
  if (is_engine(path)) {
    if (is_file(path)) {
      if (is_file(sidecar)) return parse_manifest(read_text(sidecar), sidecar);
      throw Failure(SG_BAD_FILE, cat(sidecar, ": no such file; keep the sidecar beside its engine, or build the engine "
                                              "with `samplegraph build`: those of other tools have none"));
    }
    throw Failure(SG_BAD_FILE, cat(path, ": no such file; give an engine and keep its sidecar beside it"));
  }
  if (auto text = read_metadata(path, kMetadataKey)) return parse_manifest(std::move(*text), path);
  if (is_file(sidecar)) return parse_manifest(read_text(sidecar), sidecar);
  throw Failure(SG_BAD_FILE,
                cat(path, ": holds no samplegraph manifest; give a file that `samplegraph export` wrote"));
}

Manifest read_graph_manifest(const std::string& path) {
  if (ends_with(path, ".json")) {
    throw Failure(SG_BAD_FILE, cat(path, ": is no graph; give the .onnx file, or the engine, that it belongs to"));
  }
  return read_manifest(path);
}

}  // namespace sg
