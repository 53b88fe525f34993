#include "onnxruntime/session.hpp"

#include <filesystem>

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
      : library_(open_library(settings.library)), file_(file), inputs_(manifest.graph_inputs), outputs_(manifest.outputs) {
    const SessionOptions options = configure(settings);
    providers_ = append_providers(library_, options.get(), settings.providers);
    suit_precision(library_, options.get(), manifest.precision, providers_);
    if (manifest.weights_file) check_weights(file, *manifest.weights_file);
    if (manifest.optimized_for) {
      if (manifest.optimized_for->file) check_weights(file, *manifest.optimized_for->file);
      load_as_it_stands(library_, options.get(), file, *manifest.optimized_for, providers_);
    }
    OrtSession* raw = nullptr;
    if (OrtStatus* status = library_.api->CreateSession(library_.environment, file.c_str(), options.get(), &raw)) {
      throw Failure(SG_BAD_FILE, cat(file, ": ONNX Runtime cannot load it (", reason(library_, status),
                                     "); export it again, or update onnxruntime"));
    }
    session_ = Session(library_, raw);
    compare_signature(library_, session_.get(), file, manifest);
  }

  std::unique_ptr<GraphCall> call(Lane&) override {
    return make_call(library_, session_.get(), file_, inputs_, outputs_, [](StopSignal* stop) {
      return stop != nullptr ? static_cast<OrtStop*>(stop)->options() : nullptr;
    });
  }
  std::unique_ptr<StopSignal> stop_signal() override { return std::make_unique<OrtStop>(library_); }
  const std::string& providers() const override { return providers_; }
  const std::string& library_version() const override { return library_.version; }

 private:
  SessionOptions configure(const Settings& settings) const {
    const OrtApi& api = *library_.api;
    OrtSessionOptions* raw = nullptr;
    const auto ok = [&](OrtStatus* status) {
      if (status == nullptr) return;
      throw Failure(SG_BAD_ARGUMENT, cat("ONNX Runtime refuses a session setting (", reason(library_, status), ")"));
    };
    ok(api.CreateSessionOptions(&raw));
    SessionOptions options(library_, raw);
    ok(api.SetSessionLogSeverityLevel(raw, ORT_LOGGING_LEVEL_FATAL));
    if (settings.threads > 0) ok(api.SetIntraOpNumThreads(raw, settings.threads));
    if (settings.inter_op_threads > 0) {
      ok(api.SetInterOpNumThreads(raw, settings.inter_op_threads));
      ok(api.SetSessionExecutionMode(raw, ORT_PARALLEL));
    }
    for (const auto& [key, value] : settings.config) ok(api.AddSessionConfigEntry(raw, key.c_str(), value.c_str()));
    return options;
  }

  const Library& library_;
  std::string file_, providers_;
  std::vector<Tensor> inputs_, outputs_;
  Session session_;
};

}  // namespace

std::unique_ptr<Graph> load(const std::string& file, const Manifest& manifest, const Settings& settings) {
  return std::make_unique<OrtGraph>(file, manifest, settings);
}

}  // namespace sg::ort
