#include "tensorrt/engine_graph.hpp"

#include <map>

#include "cuda/cuda_lane.hpp"
#include "engine_file.hpp"
#include "error.hpp"
#include "tensorrt/engine_call.hpp"
#include "tensorrt/vendor.hpp"
#include "text.hpp"

namespace sg::trt {
namespace {

/** Nothing stops an engine once it runs; calls end between chunks and steps. */
class NoStop : public StopSignal {
 public:
  void request() override {}
  void reset() override {}
};

bool fits(const Tensor& tensor, const EngineTensor& found, bool input) {
  bool same = found.input == input && found.on_device && found.dtype == tensor.dtype &&
              found.shape.size() == tensor.shape.size();
  for (std::size_t axis = 0; same && axis < found.shape.size(); ++axis) {
    same = found.shape[axis] < 0 || tensor.shape[axis].symbolic() || found.shape[axis] == tensor.shape[axis].size;
  }
  return same;
}

std::string axes_text(const Tensor& tensor) {
  std::string out = "[";
  for (const Axis& axis : tensor.shape) {
    out += cat(out.size() > 1 ? ", " : "", axis.symbolic() ? in_quotes(axis.symbol) : std::to_string(axis.size));
  }
  return out + "]";
}

/** Names, dtypes and static axes in the engine are the manifest's, and all lie on the GPU. */
void compare(const std::string& file, const Manifest& manifest, const std::vector<EngineTensor>& tensors) {
  std::map<std::string, const EngineTensor*> rest;
  for (const EngineTensor& each : tensors) rest[each.name] = &each;
  for (const auto* described : {&manifest.graph_inputs, &manifest.graph_outputs}) {
    for (const Tensor& tensor : *described) {
      const auto found = rest.find(tensor.name);
      if (found == rest.end() || !fits(tensor, *found->second, described == &manifest.graph_inputs)) {
        throw Failure(SG_BAD_FILE, cat(file, ": its sidecar says ", tensor.name, " is ", tensor.type().name, " ",
                                       axes_text(tensor), ", the engine does not; ", kRebuild));
      }
      rest.erase(found);
    }
  }
  std::string names;
  for (const auto& [name, found] : rest) names += (names.empty() ? "" : ", ") + name;
  if (names.empty()) return;
  throw Failure(SG_BAD_FILE, cat(file, ": its sidecar does not name ", names, "; ", kRebuild));
}

class EngineGraph : public Graph {
 public:
  EngineGraph(const std::string& file, const Manifest& manifest, const Settings& settings)
      : parts_{file, "", manifest.graph_inputs, manifest.graph_outputs, nullptr, settings.cuda_graph, false, {}, nullptr},
        device_(settings.device) {
    const std::string bytes = read_engine(file, manifest);
    const EngineInfo& made = *manifest.engine;
    parts_.builder = made.builder;
    vendor_ = open_vendor(file, made.builder, settings.tensorrt);
    check_library(file, made, vendor_->version());
    runtime_ = &cuda::open_runtime(settings.cuda);
    cuda::check_device(*runtime_, device_);
    check_gpu(file, made, cuda::capability(*runtime_, device_));
    const cuda::Current current(*runtime_, device_);
    parts_.engine = vendor_->deserialize(bytes.data(), bytes.size(), made.version_compatible);
    parts_.captures_itself = vendor_->captures();
    const std::vector<EngineTensor> tensors = parts_.engine->tensors();
    if (tensors.empty()) {
      throw Failure(SG_BAD_FILE, cat(file, ": ", made.builder, " cannot load it (", parts_.engine->said(), "); ", kRebuild));
    }
    compare(file, manifest, tensors);
    if (vendor_->compiles() && !settings.kernels.empty()) {
      const std::string path = cat(settings.kernels, "/", made.sha256, ".kernels");
      parts_.kernels = std::make_unique<KernelCache>(*parts_.engine, path, parts_.notes);
    }
  }

  std::shared_ptr<Lane> lane() override { return std::make_shared<cuda::CudaLane>(*runtime_, device_); }
  std::unique_ptr<GraphCall> call(Lane& lane) override {
    return make_call(parts_, static_cast<cuda::CudaLane&>(lane));  // that of an engine that was loaded alike
  }
  std::unique_ptr<StopSignal> stop_signal() override { return std::make_unique<NoStop>(); }
  const std::string& providers() const override { return parts_.builder; }
  const std::string& library_version() const override { return vendor_->version(); }
  std::vector<std::string> notes() const override { return parts_.notes.all(); }

 private:
  std::shared_ptr<Vendor> vendor_;  // outlives its engine
  EngineParts parts_;
  const cuda::Runtime* runtime_ = nullptr;
  int device_;
};

}  // namespace

std::unique_ptr<Graph> load(const std::string& file, const Manifest& manifest, const Settings& settings) {
  return std::make_unique<EngineGraph>(file, manifest, settings);
}

}  // namespace sg::trt
