/** Where a manifest is found: inside an ONNX file, or in the sidecar beside it. */
#include "error.hpp"
#include "file.hpp"
#include "manifest.hpp"
#include "text.hpp"

namespace sg {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

Manifest read_manifest(const std::string& path) {
  if (ends_with(path, ".json")) return parse_manifest(read_text(path), path);
  if (auto text = read_metadata(path, kMetadataKey)) return parse_manifest(std::move(*text), path);
  const std::string sidecar = path + ".json";
  if (is_file(sidecar)) return parse_manifest(read_text(sidecar), sidecar);
  throw Failure(SG_BAD_FILE,
                cat(path, ": holds no samplegraph manifest; give a file that `samplegraph export` wrote"));
}

Manifest read_graph_manifest(const std::string& path) {
  for (const char* suffix : {".json", ".engine", ".plan", ".trt"}) {
    if (!ends_with(path, suffix)) continue;
    throw Failure(SG_BAD_FILE, cat(path, ": this runtime runs .onnx files; give the .onnx file it belongs to"));
  }
  return read_manifest(path);
}

}  // namespace sg
