#include "load.hpp"

#include "engine_file.hpp"
#include "error.hpp"
#include "onnxruntime/providers.hpp"
#include "onnxruntime/session.hpp"
#include "tensorrt/engine_graph.hpp"
#include "text.hpp"

namespace sg {
namespace {

bool is_auto(const Settings& settings) { return settings.providers.size() == 1 && settings.providers[0].name == "auto"; }

/** What only ONNX Runtime has. */
void check_for_engine(const std::string& path, const Settings& settings) {
  const bool own = settings.providers.empty() || is_auto(settings);
  if (own && settings.threads == 0) return;
  const std::string given = own ? cat("threads=", settings.threads) : cat("providers=", in_quotes(settings.providers[0].name));
  throw Failure(SG_BAD_ARGUMENT, cat(given, " is for .onnx files; leave it out, ", path, " runs on the GPU"));
}

std::unique_ptr<Sampler> load_with(const std::string& path, const Manifest& manifest, const Settings& settings) {
  const bool engine = is_engine(path);
  const auto load = [&](const std::string& each, const Manifest& read) {
    return std::shared_ptr<Graph>(engine ? trt::load(each, read, settings) : ort::load(each, read, settings));
  };
  return std::make_unique<Sampler>(path, manifest, load);
}

std::unique_ptr<Sampler> load_with_the_best(const std::string& path, const Manifest& manifest, Settings settings,
                                            Notes& notes) {
  for (const std::string& name : ort::gpu_providers(ort::open_library(settings.library))) {
    settings.providers[0].name = name;
    try {
      return load_with(path, manifest, settings);
    } catch (const Failure& failure) {
      notes.add(cat("not ", name, ": ", failure.what()));
    }
  }
  settings.providers.clear();
  return load_with(path, manifest, settings);
}

}  // namespace

std::unique_ptr<Sampler> load_sampler(const std::string& path, const Manifest& manifest, const Settings& settings,
                                      Notes& notes) {
  if (is_engine(path)) check_for_engine(path, settings);
  else if (is_auto(settings)) return load_with_the_best(path, manifest, settings, notes);
  return load_with(path, manifest, settings);
}

}  // namespace sg
