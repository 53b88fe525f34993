#include "settings.hpp"

#include "kept_file.hpp"
#include "struct_copy.hpp"

namespace sg {
namespace {

Pairs pairs(const char* what, const char* const* keys, const char* const* values, std::size_t count) {
  Pairs out;
  for (std::size_t i = 0; i < count; ++i) {
    if (keys == nullptr || values == nullptr || keys[i] == nullptr || values[i] == nullptr) {
      throw Failure(SG_BAD_ARGUMENT, cat(what, " ", std::to_string(i), " is a null pointer"));
    }
    out.emplace_back(keys[i], values[i]);
  }
  return out;
}

int threads(const char* name, std::int32_t value) {
  if (value >= 0) return value;
  throw Failure(SG_BAD_ARGUMENT, cat(name, "=", value, " is not allowed; give a whole number of at least 1"));
}

}  // namespace

Settings settings(const sg_options* given) {
  Settings out;
  out.kernels = cache_folder();
  if (given == nullptr) return out;
  const sg_options options = copy_struct(given, "sg_options");
  if (options.onnxruntime != nullptr) out.library = options.onnxruntime;
  if (options.provider_count > 0 && options.providers == nullptr) {
    throw Failure(SG_BAD_ARGUMENT, "providers is a null pointer; give provider_count providers");
  }
  for (std::size_t i = 0; i < options.provider_count; ++i) {
    const sg_provider& each = options.providers[i];
    if (each.name == nullptr) throw Failure(SG_BAD_ARGUMENT, "the name of a provider is a null pointer");
    out.providers.push_back({each.name, pairs("a provider's option", each.keys, each.values, each.option_count)});
  }
  out.threads = threads("threads", options.threads);
  out.inter_op_threads = threads("inter_op_threads", options.inter_op_threads);
  if (options.tensorrt != nullptr) out.tensorrt = options.tensorrt;
  if (options.cuda != nullptr) out.cuda = options.cuda;
  if (options.device < 0) throw Failure(SG_BAD_ARGUMENT, cat("device=", options.device, " is not allowed; give the number of a GPU"));
  out.device = options.device;
  out.tf32 = options.tf32 != 0;
  out.cuda_graph = options.no_cuda_graph == 0;
  if (options.kernel_cache != nullptr) out.kernels = options.kernel_cache;
  out.config = pairs("config", options.config_keys, options.config_values, options.config_count);
  if (options.affinity != nullptr) out.config.emplace_back("session.intra_op_thread_affinities", options.affinity);
  if (options.no_spinning != 0) {
    out.config.emplace_back("session.intra_op.allow_spinning", "0");
    out.config.emplace_back("session.inter_op.allow_spinning", "0");
  }
  return out;
}

}  // namespace sg
