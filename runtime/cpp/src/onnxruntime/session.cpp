#include "onnxruntime/session.hpp"

#include <filesystem>

#include "cuda/cuda_lane.hpp"
#include "error.hpp"
#include "file.hpp"
#include "onnxruntime/binding.hpp"
#include "onnxruntime/optimized.hpp"
#include "onnxruntime/precision.hpp"
#include "onnxruntime/providers.hpp"
#include "onnxruntime/signature.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {
namespace fs = std::filesystem;

/** ONNX Runtime reads external weights only below the graph's folder. */
void check_weights(const std::string& file, const std::string& name) {
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(fs::absolute(fs::path(file), error).parent_path(), error);
  const fs::path weights = fs::weakly_canonical(folder / name, error);
  const fs::path inside = weights.lexically_relative(folder);
  if (error || inside.empty() || *inside.begin() == "..") {
    throw Failure(SG_BAD_FILE,
                  cat(file, ": its weights ", in_quotes(name), " lie outside its folder; put the file beside the graph"));
  }
  if (!is_file(weights.string())) {
    throw Failure(SG_BAD_FILE, cat(file, ": its weights file ", in_quotes(name), " is missing; put it beside the graph"));
  }
}

class OrtStop : public StopSignal {
 public:
  explicit OrtStop(const Library& library) : library_(library) {
    OrtRunOptions* raw = nullptr;
    if (OrtStatus* status = library.api->CreateRunOptions(&raw)) {
      throw Failure(SG_ENGINE_FAILED, cat("ONNX Runtime has no run options (", reason(library, status), ")"));
    }
    options_ = RunOptions(library, raw);
  }
  void request() override { drop(library_.api->RunOptionsSetTerminate(options_.get())); }
  void reset() override { drop(library_.api->RunOptionsUnsetTerminate(options_.get())); }
  const OrtRunOptions* options() const { return options_.get(); }

 private:
  void drop(OrtStatus* status) {
    if (status != nullptr) library_.api->ReleaseStatus(status);
  }
  const Library& library_;
  RunOptions options_;
};

class OrtGraph : public Graph {
 public:
  OrtGraph(const std::string& file, const Manifest& manifest, const Settings& settings)
      : parts_{open_library(settings.library), file, manifest.graph_inputs, manifest.graph_outputs, {}, 0, false, {}, {}, {}} {
    const std::vector<Provider> asked = known_providers(parts_.library, settings.providers);
    if (on_cuda(asked)) use_memory_of(asked, settings);
    const bool one_shape = asked.empty() || asked[0].name != "tensorrt" || manifest.batch() >= 0;
    GpuOptions wanted{settings.tf32, cuda_ != nullptr && settings.cuda_graph && one_shape, settings.kernels};
    std::vector<Provider> told = with_options(asked, wanted, parts_.notes);
    parts_.captures = cuda_ != nullptr && captures(told);
    try {
      open(manifest, settings, told);
    } catch (const Failure& failure) {
      if (!wanted.graphs) throw;
      wanted.graphs = parts_.captures = false;
      told = with_options(asked, wanted, parts_.notes);
      open(manifest, settings, told);
      parts_.notes.add(cat("no CUDA graph: ", failure.what()));
    }
    compare_signature(parts_.library, parts_.session.get(), file, manifest);
  }

  std::shared_ptr<Lane> lane() override {
    return cuda_ != nullptr ? std::make_shared<cuda::CudaLane>(*cuda_, parts_.device) : host_lane();
  }
  std::unique_ptr<GraphCall> call(Lane& lane) override {
    return make_call(parts_, lane, [](StopSignal* stop) {
      return stop != nullptr ? static_cast<OrtStop*>(stop)->options() : nullptr;
    });
  }
  std::unique_ptr<StopSignal> stop_signal() override { return std::make_unique<OrtStop>(parts_.library); }
  const std::string& providers() const override { return providers_; }
  const std::string& library_version() const override { return parts_.library.version; }
  std::vector<std::string> notes() const override { return parts_.notes.all(); }

 private:
  /** A GPU's memory, for a provider that works on it; without CUDA's own library ONNX Runtime copies by itself. */
  void use_memory_of(const std::vector<Provider>& asked, const Settings& settings) {
    const SessionOptions scratch = configure(settings);
    append_providers(parts_.library, scratch.get(), {asked[0]});  // loads that library, where it is not the machine's
    parts_.device = device_of(asked[0]);
    try {
      const cuda::Runtime& runtime = cuda::open_runtime(settings.cuda);
      cuda::check_device(runtime, parts_.device);
      cuda_ = &runtime;
    } catch (const Failure& failure) {
      parts_.notes.add(cat("inputs and outputs are copied at every call: ", failure.what()));
    }
  }

  void open(const Manifest& manifest, const Settings& settings, const std::vector<Provider>& providers) {
    const std::string& file = parts_.file;
    const SessionOptions options = configure(settings);
    providers_ = append_providers(parts_.library, options.get(), providers);
    suit_precision(parts_.library, options.get(), manifest.precision, providers_);
    if (manifest.weights_file) check_weights(file, *manifest.weights_file);
    if (manifest.optimized_for) {
      if (manifest.optimized_for->file) check_weights(file, *manifest.optimized_for->file);
      load_as_it_stands(parts_.library, options.get(), file, *manifest.optimized_for, providers_);
    }
    const Library& library = parts_.library;
    OrtSession* raw = nullptr;
    if (OrtStatus* status = library.api->CreateSession(library.environment, file.c_str(), options.get(), &raw)) {
      throw Failure(SG_BAD_FILE, cat(file, ": ONNX Runtime cannot load it (", reason(library, status),
                                     "); export it again, or update onnxruntime"));
    }
    parts_.session = Session(library, raw);
  }

  SessionOptions configure(const Settings& settings) const {
    const Library& library = parts_.library;
    const OrtApi& api = *library.api;
    OrtSessionOptions* raw = nullptr;
    const auto ok = [&](OrtStatus* status) {
      if (status == nullptr) return;
      throw Failure(SG_BAD_ARGUMENT, cat("ONNX Runtime refuses a session setting (", reason(library, status), ")"));
    };
    ok(api.CreateSessionOptions(&raw));
    SessionOptions options(library, raw);
    ok(api.SetSessionLogSeverityLevel(raw, ORT_LOGGING_LEVEL_FATAL));
    if (settings.threads > 0) ok(api.SetIntraOpNumThreads(raw, settings.threads));
    if (settings.inter_op_threads > 0) {
      ok(api.SetInterOpNumThreads(raw, settings.inter_op_threads));
      ok(api.SetSessionExecutionMode(raw, ORT_PARALLEL));
    }
    for (const auto& [key, value] : settings.config) ok(api.AddSessionConfigEntry(raw, key.c_str(), value.c_str()));
    return options;
  }

  SessionParts parts_;
  std::string providers_;
  const cuda::Runtime* cuda_ = nullptr;  // whose memory the session works on; null: the host's
};

}  // namespace

std::unique_ptr<Graph> load(const std::string& file, const Manifest& manifest, const Settings& settings) {
  return std::make_unique<OrtGraph>(file, manifest, settings);
}

}  // namespace sg::ort
