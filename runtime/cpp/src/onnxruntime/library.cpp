#include "onnxruntime/library.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <vector>

#include "error.hpp"
#include "onnxruntime/library_file.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {
namespace fs = std::filesystem;

#if defined(__APPLE__)
const char* const kNames[] = {"libonnxruntime.dylib"};
constexpr const char* kStem = "libonnxruntime.";
#else
const char* const kNames[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
constexpr const char* kStem = "libonnxruntime.so";
#endif
constexpr const char* kVariable = "SAMPLEGRAPH_ONNXRUNTIME";
constexpr const char* kFix = "set --onnxruntime or SAMPLEGRAPH_ONNXRUNTIME to libonnxruntime or its folder (in a Python "
                             "environment: site-packages/onnxruntime/capi)";

[[noreturn]] void refuse(const std::string& text) { throw Failure(SG_NO_ENGINE, text); }

/** The library in a folder, the newest name if there are several; the path itself where it is no folder. */
std::string in_folder(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kStem, 0) == 0) found.push_back(entry.path().string());
  }
  if (found.empty()) refuse(cat(path, ": no libonnxruntime in this folder; ", kFix));
  return *std::max_element(found.begin(), found.end());
}

/** dlopen of the first of `names` that opens. */
void* open_first(const std::vector<std::string>& names, std::string& opened, const char* source) {
  std::string searched;
  for (const std::string& name : names) {
    dlerror();
    if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) {
      opened = name;
      return handle;
    }
    const char* why = dlerror();
    searched += cat(searched.empty() ? "" : "; ", one_line(why != nullptr ? why : name.c_str(), 200));
  }
  refuse(cat("ONNX Runtime cannot be loaded from ", source, " (searched ", searched, "); ", kFix));
}

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

Library load(const std::vector<std::string>& names, const char* source) {
  Library out;
  for (const std::string& name : names) {
    if (const std::string fault = library_fault(name); !fault.empty()) refuse(cat(name, ": ", fault, "; ", kFix));
  }
  void* handle = open_first(names, out.path, source);
  using GetBase = const OrtApiBase* (*)();
  const auto get_base = reinterpret_cast<GetBase>(dlsym(handle, "OrtGetApiBase"));
  const OrtApiBase* base = get_base != nullptr ? get_base() : nullptr;
  if (base == nullptr) refuse(cat(out.path, ": not ONNX Runtime (it has no OrtGetApiBase); ", kFix));
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

  const char* variable = std::getenv(kVariable);
  const bool set = variable != nullptr && *variable != '\0';
  std::vector<std::string> names(std::begin(kNames), std::end(kNames));
  const char* source = "the loader's path";
  if (!path.empty()) {
    names = {in_folder(path)};
    source = "the given path";
  } else if (set) {
    names = {in_folder(variable)};
    source = kVariable;
  }
  const auto known = libraries.find(names[0]);
  if (known != libraries.end()) return known->second;
  return libraries.emplace(names[0], load(names, source)).first->second;
}

std::string reason(const Library& library, OrtStatus* status) {
  std::string text = library.api->GetErrorMessage(status);
  library.api->ReleaseStatus(status);
  const std::string prefix = "Exception during initialization: ";
  const std::size_t at = text.rfind(prefix);
  return one_line(without_place(at == std::string::npos ? text : text.substr(at + prefix.size())));
}

}  // namespace sg::ort
