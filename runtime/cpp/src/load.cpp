#include "load.hpp"

#include "engine_file.hpp"
#include "error.hpp"
#include "onnxruntime/session.hpp"
#include "tensorrt/engine_graph.hpp"
#include "text.hpp"

namespace sg {
namespace {

/** What only ONNX Runtime has. */
void check_for_engine(const std::string& path, const Settings& settings) {
  const bool own = settings.providers.empty() || (settings.providers.size() == 1 && settings.providers[0].name == "auto");
  if (own && settings.threads == 0) return;
  throw Failure(SG_BAD_ARGUMENT, cat(own ? cat("threads=", settings.threads) : cat("providers=", in_quotes(settings.providers[0].name)),
                                     " is for .onnx files; leave it out, ", path, " runs on the GPU"));
}

}  // namespace

std::unique_ptr<Sampler> load_sampler(const std::string& path, const Manifest& manifest, const Settings& settings) {
  const bool engine = is_engine(path);
  if (engine) check_for_engine(path, settings);
  const auto load = [&](const std::string& each, const Manifest& read) {
    return std::shared_ptr<Graph>(engine ? trt::load(each, read, settings) : ort::load(each, read, settings));
  };
  return std::make_unique<Sampler>(path, manifest, load);
}

}  // namespace sg
