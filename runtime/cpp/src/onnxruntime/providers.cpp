#include "onnxruntime/providers.hpp"

#include <algorithm>

#include "error.hpp"
#include "suggest.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

const std::string kSuffix = "ExecutionProvider";

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  return text;
}

/** "CUDAExecutionProvider" -> "CUDA", which is how the generic call names it. */
std::string stem(const std::string& name) {
  const bool has = name.size() > kSuffix.size() && name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0;
  return has ? name.substr(0, name.size() - kSuffix.size()) : name;
}

std::vector<std::string> available(const Library& library) {
  char** names = nullptr;
  int count = 0;
  if (OrtStatus* status = library.api->GetAvailableProviders(&names, &count)) {
    throw Failure(SG_NO_ENGINE, cat("ONNX Runtime does not list its providers (", reason(library, status), ")"));
  }
  std::vector<std::string> out(names, names + count);
  if (OrtStatus* status = library.api->ReleaseAvailableProviders(names, count)) library.api->ReleaseStatus(status);
  return out;
}

std::string full_name(const std::string& asked, const std::vector<std::string>& has) {
  const std::string name = lower(one_line(asked));
  std::vector<std::string> brief;
  std::string listed;
  for (const std::string& each : has) {
    if (name == lower(each) || name == lower(stem(each))) return each;
    brief.push_back(lower(stem(each)));
    listed += (listed.empty() ? "" : ", ") + brief.back();
  }
  const std::string hint = suggest(lower(stem(one_line(asked))), brief, 0.7);
  throw Failure(SG_NO_ENGINE, cat("providers=", in_quotes(asked), " is not available; the ONNX Runtime at hand has ",
                                  listed, hint.empty() ? "; give the library of onnxruntime-gpu for GPU providers" : hint));
}

struct Arrays {
  std::vector<const char*> keys, values;
  explicit Arrays(const Pairs& pairs) {
    for (const auto& [key, value] : pairs) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
  }
};

OrtStatus* append_cuda(const OrtApi& api, OrtSessionOptions* options, const Arrays& arrays) {
  OrtCUDAProviderOptionsV2* cuda = nullptr;
  OrtStatus* status = api.CreateCUDAProviderOptions(&cuda);
  if (status == nullptr && !arrays.keys.empty()) {
    status = api.UpdateCUDAProviderOptions(cuda, arrays.keys.data(), arrays.values.data(), arrays.keys.size());
  }
  if (status == nullptr) status = api.SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda);
  if (cuda != nullptr) api.ReleaseCUDAProviderOptions(cuda);
  return status;
}

OrtStatus* append_tensorrt(const OrtApi& api, OrtSessionOptions* options, const Arrays& arrays) {
  OrtTensorRTProviderOptionsV2* tensorrt = nullptr;
  OrtStatus* status = api.CreateTensorRTProviderOptions(&tensorrt);
  if (status == nullptr && !arrays.keys.empty()) {
    status = api.UpdateTensorRTProviderOptions(tensorrt, arrays.keys.data(), arrays.values.data(), arrays.keys.size());
  }
  if (status == nullptr) status = api.SessionOptionsAppendExecutionProvider_TensorRT_V2(options, tensorrt);
  if (tensorrt != nullptr) api.ReleaseTensorRTProviderOptions(tensorrt);
  return status;
}

OrtStatus* append(const OrtApi& api, OrtSessionOptions* options, const std::string& name, const Arrays& arrays) {
  if (name == "CUDA") return append_cuda(api, options, arrays);
  if (name == "Tensorrt") return append_tensorrt(api, options, arrays);
  return api.SessionOptionsAppendExecutionProvider(options, name.c_str(), arrays.keys.data(), arrays.values.data(),
                                                   arrays.keys.size());
}

}  // namespace

std::vector<std::string> gpu_providers(const Library& library) {
  std::vector<std::string> out;
  const std::vector<std::string> has = available(library);
  for (const char* name : {"nvtensorrtrtx", "tensorrt", "cuda", "migraphx", "rocm", "dml"}) {
    for (const std::string& each : has) {
      if (lower(stem(each)) == name) out.push_back(name);
    }
  }
  return out;
}

std::vector<Provider> known_providers(const Library& library, const std::vector<Provider>& asked) {
  const std::vector<std::string> has = available(library);
  std::vector<Provider> out;
  for (const Provider& each : asked) out.push_back({lower(stem(full_name(each.name, has))), each.options});
  return out;
}

std::string append_providers(const Library& library, OrtSessionOptions* options, const std::vector<Provider>& providers) {
  const std::vector<std::string> has = available(library);
  std::string used;
  for (const Provider& each : providers) {
    if (each.name == "cpu") continue;
    if (OrtStatus* status = append(*library.api, options, stem(full_name(each.name, has)), Arrays(each.options))) {
      throw Failure(SG_NO_ENGINE, cat("providers=", in_quotes(each.name), " is installed but does not start here (",
                                      reason(library, status), "); check its driver and libraries, or use cpu"));
    }
    used += each.name + ",";
  }
  return used + "cpu";
}

}  // namespace sg::ort
