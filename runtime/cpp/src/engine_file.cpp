#include "engine_file.hpp"

#include <cstdlib>
#include <vector>

#include "error.hpp"
#include "file.hpp"
#include "sha256.hpp"
#include "text.hpp"

namespace sg {
namespace {

[[noreturn]] void refuse(const std::string& file, const std::string& what) {
  throw Failure(SG_BAD_FILE, cat(file, ": ", what));
}

std::string read_bytes(const std::string& path) {
  FileSource source(path, "give an engine and keep its sidecar beside it", "give a readable file");
  std::string out(source.size(), '\0');
  if (!source.read(0, out.data(), out.size())) refuse(path, "cannot be read to its end; give a readable file");
  return out;
}

/** The `.onnx` file that `x.sm89.engine` came from. */
std::string graph_of(const std::string& engine) {
  std::string stem = engine;
  const std::size_t name = stem.rfind('/') + 1;
  for (int suffixes = 0; suffixes < 2; ++suffixes) {
    const std::size_t dot = stem.rfind('.');
    if (dot != std::string::npos && dot > name) stem.resize(dot);
  }
  return stem + ".onnx";
}

/** "1.7.1.116" -> 1, 7, 1, 116. */
std::vector<long> numbers(const std::string& version) {
  std::vector<long> out;
  for (const char* at = version.c_str(); *at != '\0';) {
    char* end = nullptr;
    out.push_back(std::strtol(at, &end, 10));
    if (end == at || *end != '.') break;
    at = end + 1;
  }
  return out;
}

}  // namespace

bool is_engine(const std::string& path) {
  for (const char* suffix : {".engine", ".plan", ".trt"}) {
    if (ends_with(path, suffix)) return true;
  }
  return false;
}

std::string read_engine(const std::string& file, const Manifest& manifest) {
  if (!manifest.engine) refuse(file + ".json", cat("describes a graph and no engine; ", kRebuild));
  const EngineInfo& made = *manifest.engine;
  std::string bytes = read_bytes(file);
  if (static_cast<std::int64_t>(bytes.size()) != made.bytes) {
    refuse(file, cat("has ", std::to_string(bytes.size()), " bytes and ", made.bytes, " were written; copy it again, or ",
                     kRebuild));
  }
  if (sha256(bytes.data(), bytes.size()) != made.sha256) {
    refuse(file, cat("its bytes are not those that its sidecar names (sha256); ", kRebuild));
  }
  if (manifest.weights_sha256 != made.weights_sha256) {
    refuse(file, cat("was built from other weights than its sidecar describes; ", kRebuild));
  }
  if (const std::string graph = graph_of(file); is_file(graph)) {
    const std::string now = read_bytes(graph);
    if (sha256(now.data(), now.size()) != made.graph_sha256) {
      refuse(file, cat("was not built from ", graph, " as it is now; ", kRebuild));
    }
  }
  return bytes;
}

void check_library(const std::string& file, const EngineInfo& made, const std::string& version) {
  const std::vector<long> built = numbers(made.builder_version), here = numbers(version);
  const bool later = !built.empty() && !here.empty() && built[0] == here[0] && built <= here;
  if (made.version_compatible ? later : version == made.builder_version) return;
  throw Failure(SG_NO_ENGINE, cat(file, ": was built by ", made.builder, " ", made.builder_version, " and ", version,
                                  " is installed; install that version, or build it again"));
}

void check_gpu(const std::string& file, const EngineInfo& made, const std::string& here) {
  if (here == made.target) return;
  throw Failure(SG_NO_ENGINE, cat(file, ": was built for ", made.target, " and this GPU is ", here,
                                  "; build it with --target ", here));
}

}  // namespace sg
