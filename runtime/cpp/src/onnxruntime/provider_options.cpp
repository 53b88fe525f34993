/** Execution providers for NVIDIA GPUs: which work on CUDA's memory, and the options they are given. */
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "onnxruntime/providers.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

/** Providers that work on CUDA's memory, and their switch for CUDA graphs. */
struct Row {
  const char *name, *graphs;
};
constexpr Row kOnCuda[] = {{"nvtensorrtrtx", "enable_cuda_graph"}, {"tensorrt", "trt_cuda_graph_enable"}, {"cuda", "enable_cuda_graph"}};

const Row* row_of(const Provider& provider) {
  for (const Row& row : kOnCuda) {
    if (provider.name == row.name) return &row;
  }
  return nullptr;
}

const std::string* option(const Provider& provider, const char* key) {
  for (const auto& [name, value] : provider.options) {
    if (name == key) return &value;
  }
  return nullptr;
}

void add(Provider& provider, const char* key, const char* value) {
  if (option(provider, key) == nullptr) provider.options.emplace_back(key, value);
}

}  // namespace

bool on_cuda(const std::vector<Provider>& providers) { return !providers.empty() && row_of(providers[0]) != nullptr; }

int device_of(const Provider& provider) {
  const std::string* id = option(provider, "device_id");
  return id != nullptr ? std::atoi(id->c_str()) : 0;
}

std::vector<Provider> with_options(std::vector<Provider> providers, const GpuOptions& wanted, Notes& notes) {
  const char* overridden = std::getenv("NVIDIA_TF32_OVERRIDE");
  for (Provider& each : providers) {
    const Row* row = row_of(each);
    if (row == nullptr) continue;
    if (wanted.graphs) add(each, row->graphs, "1");
    if (each.name == "nvtensorrtrtx" && !wanted.kernels.empty()) {
      const std::string folder = wanted.kernels + "/onnxruntime";
      std::error_code error;
      std::filesystem::create_directories(folder, error);
      if (!error) add(each, "nv_runtime_cache_path", folder.c_str());
    }
    if (each.name == "cuda") {
      add(each, "use_tf32", wanted.tf32 ? "1" : "0");
    } else if (!wanted.tf32 && (overridden == nullptr || std::strcmp(overridden, "0") != 0)) {
      notes.add(cat(each.name, " has no switch for TF32; set NVIDIA_TF32_OVERRIDE=0 for products in full float32"));
    }
  }
  return providers;
}

bool captures(const std::vector<Provider>& providers) {
  for (const Provider& each : providers) {
    const Row* row = row_of(each);
    const std::string* told = row != nullptr ? option(each, row->graphs) : nullptr;
    if (told != nullptr && (*told == "1" || *told == "True")) return true;
  }
  return false;
}

}  // namespace sg::ort
