#include "onnxruntime/library.hpp"

#include <map>
#include <mutex>

#include "error.hpp"
#include "shared_library.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

const LibrarySearch& search() {
  static const LibrarySearch found = {
      "ONNX Runtime",
#if defined(__APPLE__)
      "libonnxruntime.", "SAMPLEGRAPH_ONNXRUNTIME", {"libonnxruntime.dylib"},
#else
      "libonnxruntime.so", "SAMPLEGRAPH_ONNXRUNTIME", {"libonnxruntime.so.1", "libonnxruntime.so"},
#endif
      "set --onnxruntime or SAMPLEGRAPH_ONNXRUNTIME to libonnxruntime or its folder (in a Python environment: "
      "site-packages/onnxruntime/capi)"};
  return found;
}

[[noreturn]] void refuse(const std::string& text) { throw Failure(SG_NO_ENGINE, text); }

/** "...failed:/onnxruntime_src/.../model.cc:179 Model::Model(...) Unsupported..." without the place in its source. */
std::string without_place(const std::string& text) {
  const std::size_t file = text.find(".cc:");
  const std::size_t open = text.find('(', file);
  if (file == std::string::npos || open == std::string::npos) return text;
  const std::size_t before = text.find_last_of(" :", file);
  std::size_t end = open;
  for (int depth = 0; end < text.size(); ++end) {
    if (text[end] == '(') ++depth;
    if (text[end] == ')' && --depth == 0) break;
  }
  if (end == text.size()) return text;
  for (const std::string& tail : {std::string(") const"), std::string(")")}) {
    if (text.compare(end, tail.size(), tail) == 0) {
      end += tail.size();
      break;
    }
  }
  const std::string rest = one_line(text.substr(end));
  if (rest.empty()) return text;
  return cat(before == std::string::npos ? "" : text.substr(0, before + 1), " ", rest);
}

Library load(const std::string& path) {
  const OpenLibrary opened = open_shared(search(), path);
  Library out;
  out.path = opened.path;
  using GetBase = const OrtApiBase* (*)();
  const OrtApiBase* base = reinterpret_cast<GetBase>(library_function(search(), opened, "OrtGetApiBase"))();
  if (base == nullptr) refuse(cat(out.path, ": not ONNX Runtime (its OrtGetApiBase gives nothing); ", search().fix));
  out.version = base->GetVersionString();
  out.api = base->GetApi(kApiVersion);
  if (out.api == nullptr) {
    refuse(cat(out.path, ": ONNX Runtime ", out.version, " is too old; install 1.", kApiVersion, " or newer"));
  }
  OrtStatus* status = out.api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "samplegraph", &out.environment);
  if (status != nullptr) refuse(cat(out.path, ": ONNX Runtime does not start (", reason(out, status), ")"));
  return out;
}

}  // namespace

const Library& open_library(const std::string& path) {
  // Never destroyed: sessions may be closed by destructors that run after those of this file.
  static auto& libraries = *new std::map<std::string, Library>;
  static auto& mutex = *new std::mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const std::string key = library_key(search(), path);
  const auto known = libraries.find(key);
  if (known != libraries.end()) return known->second;
  return libraries.emplace(key, load(path)).first->second;
}

std::string reason(const Library& library, OrtStatus* status) {
  std::string text = library.api->GetErrorMessage(status);
  library.api->ReleaseStatus(status);
  const std::string prefix = "Exception during initialization: ";
  const std::size_t at = text.rfind(prefix);
  return one_line(without_place(at == std::string::npos ? text : text.substr(at + prefix.size())));
}

}  // namespace sg::ort
