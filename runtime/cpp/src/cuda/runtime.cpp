#include "cuda/runtime.hpp"

#include <map>
#include <mutex>

#include "error.hpp"
#include "shared_library.hpp"
#include "text.hpp"

namespace sg::cuda {
namespace {

const LibrarySearch& search() {
  static const LibrarySearch found = {
      "the CUDA runtime", "libcudart.so", "SAMPLEGRAPH_CUDA", {"libcudart.so.13", "libcudart.so.12", "libcudart.so"},
      "set SAMPLEGRAPH_CUDA to libcudart or its folder (in a Python environment: site-packages/nvidia/cu13/lib)"};
  return found;
}

Runtime load(const std::string& path) {
  const OpenLibrary opened = open_shared(search(), path);
  Runtime out;
  out.path = opened.path;
#define SG_CUDA_LOAD(name, result, ...) \
  out.name = reinterpret_cast<decltype(out.name)>(library_function(search(), opened, "cuda" #name));
  SG_CUDA_FUNCTIONS(SG_CUDA_LOAD)
#undef SG_CUDA_LOAD
  return out;
}

}  // namespace

void Runtime::ok(int error, const char* what) const {
  if (error == kSuccess) return;
  GetLastError();  // else the next call would report it again
  const bool memory = error == kOutOfMemory;
  throw Failure(memory ? SG_NO_MEMORY : SG_ENGINE_FAILED,
                cat("the GPU cannot ", what, " (", one_line(GetErrorString(error)), "); ",
                    memory ? "give fewer samples per call" : "check the GPU and its driver"));
}

const Runtime& open_runtime(const std::string& path) {
  static auto& runtimes = *new std::map<std::string, Runtime>;
  static auto& mutex = *new std::mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const std::string key = library_key(search(), path);
  const auto known = runtimes.find(key);
  if (known != runtimes.end()) return known->second;
  return runtimes.emplace(key, load(path)).first->second;
}

void check_device(const Runtime& runtime, int device) {
  int count = 0;
  const int error = runtime.GetDeviceCount(&count);
  if (error != kSuccess || count == 0) {
    if (error != kSuccess) runtime.GetLastError();
    const std::string why = error != kSuccess ? one_line(runtime.GetErrorString(error)) : "no device";
    throw Failure(SG_NO_ENGINE, cat("no NVIDIA GPU can be used here (", why,
                                    "); check its driver, or run the .onnx file on the CPU"));
  }
  if (device >= 0 && device < count) return;
  throw Failure(SG_NO_ENGINE, cat("device=", device, " is not there; allowed is 0..", count - 1));
}

std::string capability(const Runtime& runtime, int device) {
  int major = 0, minor = 0;
  runtime.ok(runtime.DeviceGetAttribute(&major, kCapabilityMajor, device), "be asked");
  runtime.ok(runtime.DeviceGetAttribute(&minor, kCapabilityMinor, device), "be asked");
  return cat("sm", major, minor);
}

Current::Current(const Runtime& runtime, int device) : runtime_(runtime), device_(device) {
  runtime_.ok(runtime_.GetDevice(&before_), "be asked");
  if (before_ != device_) runtime_.ok(runtime_.SetDevice(device_), "be chosen");
}

Current::~Current() {
  if (before_ != device_) runtime_.SetDevice(before_);
}

}  // namespace sg::cuda
