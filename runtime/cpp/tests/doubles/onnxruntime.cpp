/**
 * A double of ONNX Runtime for GPUs: the real library, found through SAMPLEGRAPH_ONNXRUNTIME, which says that it has
 * GPU providers, and runs them on the CPU. Their memory is that of the double of the CUDA runtime, with DOUBLE_PLAIN.
 *
 * Environment: DOUBLE_STARTS ("cuda"): providers that start; DOUBLE_REFUSES: "session-with-graphs", "run-with-graph". What providers are told is appended to the file DOUBLE_TOLD.
 */
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "cudart.hpp"
#include "onnxruntime/library.hpp"

namespace {

OrtApi api;
const OrtApi* real = nullptr;
bool graphs = false;        // what the last session options were told
thread_local std::string graph_id;

bool listed(const char* variable, const std::string& name, const char* fallback = "") {
  const char* text = std::getenv(variable);
  return (" " + std::string(text != nullptr ? text : fallback) + " ").find(" " + name + " ") != std::string::npos;
}

void tell(const std::string& text) {
  if (const char* path = std::getenv("DOUBLE_TOLD")) std::ofstream(path, std::ios::app) << text << "\n";
}

OrtStatus* refuse(const std::string& text) { return real->CreateStatus(ORT_FAIL, text.c_str()); }

OrtStatus* start(const std::string& name, const std::vector<std::string>& options) {
  std::string text = name;
  for (const std::string& each : options) {
    text += " " + each;
    if (each == "enable_cuda_graph=1" || each == "trt_cuda_graph_enable=1") graphs = true;
  }
  tell(text);
  return listed("DOUBLE_STARTS", name, "cuda") ? nullptr : refuse("libcu" + name + ".so is not there");
}

struct Told {
  std::vector<std::string> options;
};

OrtStatus* update(Told* told, const char* const* keys, const char* const* values, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) told->options.push_back(std::string(keys[i]) + "=" + values[i]);
  return nullptr;
}

const char* const kNames[] = {"NvTensorRTRTXExecutionProvider", "TensorrtExecutionProvider", "CUDAExecutionProvider",
                              "CPUExecutionProvider"};

OrtStatus* ORT_API_CALL available(char*** out, int* count) noexcept {
  *count = 4;
  *out = new char*[4];
  for (int i = 0; i < 4; ++i) (*out)[i] = const_cast<char*>(kNames[i]);
  return nullptr;
}
OrtStatus* ORT_API_CALL release_available(char** names, int) noexcept {
  delete[] names;
  return nullptr;
}
OrtStatus* ORT_API_CALL session_options(OrtSessionOptions** out) noexcept {
  graphs = false;
  return real->CreateSessionOptions(out);
}
OrtStatus* ORT_API_CALL append(OrtSessionOptions*, const char* name, const char* const* keys, const char* const* values,
                               std::size_t count) noexcept {
  Told told;
  update(&told, keys, values, count);
  return start(std::string(name) == "NvTensorRTRTX" ? "nvtensorrtrtx" : name, told.options);
}
OrtStatus* ORT_API_CALL create_cuda(OrtCUDAProviderOptionsV2** out) noexcept {
  *out = reinterpret_cast<OrtCUDAProviderOptionsV2*>(new Told);
  return nullptr;
}
OrtStatus* ORT_API_CALL update_cuda(OrtCUDAProviderOptionsV2* told, const char* const* keys, const char* const* values,
                                    std::size_t count) noexcept {
  return update(reinterpret_cast<Told*>(told), keys, values, count);
}
OrtStatus* ORT_API_CALL append_cuda(OrtSessionOptions*, const OrtCUDAProviderOptionsV2* told) noexcept {
  return start("cuda", reinterpret_cast<const Told*>(told)->options);
}
void ORT_API_CALL release_cuda(OrtCUDAProviderOptionsV2* told) noexcept { delete reinterpret_cast<Told*>(told); }
OrtStatus* ORT_API_CALL create_tensorrt(OrtTensorRTProviderOptionsV2** out) noexcept {
  *out = reinterpret_cast<OrtTensorRTProviderOptionsV2*>(new Told);
  return nullptr;
}
OrtStatus* ORT_API_CALL update_tensorrt(OrtTensorRTProviderOptionsV2* told, const char* const* keys,
                                        const char* const* values, std::size_t count) noexcept {
  return update(reinterpret_cast<Told*>(told), keys, values, count);
}
OrtStatus* ORT_API_CALL append_tensorrt(OrtSessionOptions*, const OrtTensorRTProviderOptionsV2* told) noexcept {
  return start("tensorrt", reinterpret_cast<const Told*>(told)->options);
}
void ORT_API_CALL release_tensorrt(OrtTensorRTProviderOptionsV2* told) noexcept { delete reinterpret_cast<Told*>(told); }
OrtStatus* ORT_API_CALL session(const OrtEnv* env, const ORTCHAR_T* path, const OrtSessionOptions* options, OrtSession** out) noexcept {
  if (graphs && listed("DOUBLE_REFUSES", "session-with-graphs")) return refuse("a node is not on the GPU");
  return real->CreateSession(env, path, options, out);
}
OrtStatus* ORT_API_CALL memory_info(const char* name, OrtAllocatorType kind, int device, OrtMemType type, OrtMemoryInfo** out) noexcept {
  tell("memory " + std::string(name) + " " + std::to_string(device));
  return real->CreateMemoryInfo("Cpu", kind, 0, type, out);
}
OrtStatus* ORT_API_CALL config(OrtRunOptions* options, const char* key, const char* value) noexcept {
  tell("run " + std::string(key) + "=" + value);
  graph_id = value;
  return real->AddRunConfigEntry(options, key, value);
}
OrtStatus* ORT_API_CALL run(OrtSession* session, const OrtRunOptions* options, const OrtIoBinding* binding) noexcept {
  double_count_one("RunWithBinding");
  if (!graph_id.empty() && graph_id != "-1" && listed("DOUBLE_REFUSES", "run-with-graph")) return refuse("cannot capture");
  return real->RunWithBinding(session, options, binding);
}

const OrtApi* ORT_API_CALL get_api(std::uint32_t) noexcept { return &api; }
const char* ORT_API_CALL get_version() noexcept { return "1.99.0"; }

}  // namespace

extern "C" __attribute__((visibility("default"))) const OrtApiBase* OrtGetApiBase(void) noexcept {
  static const OrtApiBase base = {get_api, get_version};
  if (real != nullptr) return &base;
  real = sg::ort::open_library("").api;
  std::memcpy(&api, real, offsetof(OrtApi, SessionOptionsAppendExecutionProvider_VitisAI));  // what 1.17 has
  api.GetAvailableProviders = available;
  api.ReleaseAvailableProviders = release_available;
  api.CreateSessionOptions = session_options;
  api.SessionOptionsAppendExecutionProvider = append;
  api.CreateCUDAProviderOptions = create_cuda;
  api.UpdateCUDAProviderOptions = update_cuda;
  api.SessionOptionsAppendExecutionProvider_CUDA_V2 = append_cuda;
  api.ReleaseCUDAProviderOptions = release_cuda;
  api.CreateTensorRTProviderOptions = create_tensorrt;
  api.UpdateTensorRTProviderOptions = update_tensorrt;
  api.SessionOptionsAppendExecutionProvider_TensorRT_V2 = append_tensorrt;
  api.ReleaseTensorRTProviderOptions = release_tensorrt;
  api.CreateSession = session;
  api.CreateMemoryInfo = memory_info;
  api.AddRunConfigEntry = config;
  api.RunWithBinding = run;
  return &base;
}
