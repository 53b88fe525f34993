/** The C interface over the engine: null pointers, structures of other versions, exceptions stop here. */
#include <limits>
#include <memory>

#include "default_request.hpp"
#include "dtype.hpp"
#include "sampler.hpp"
#include "error.hpp"
#include "load.hpp"
#include "stop.hpp"
#include "struct_copy.hpp"
#include "text.hpp"

struct sg_manifest {
  /** The axes of one tensor as C reads them. */
  struct Axes {
    std::vector<int64_t> sizes;
    std::vector<const char*> symbols;
  };

  explicit sg_manifest(sg::Manifest read) : manifest(std::move(read)) {
    for (const sg::Tensor& each : manifest.inputs) inputs.push_back(axes(each));
    for (const sg::Tensor& each : manifest.outputs) outputs.push_back(axes(each));
  }
  sg_manifest(const sg_manifest&) = delete;
  sg_manifest& operator=(const sg_manifest&) = delete;

  static Axes axes(const sg::Tensor& tensor) {
    Axes out;
    for (const sg::Axis& axis : tensor.shape) {
      out.sizes.push_back(axis.size);
      out.symbols.push_back(axis.symbolic() ? axis.symbol.c_str() : nullptr);
    }
    return out;
  }

  const sg::Manifest manifest;
  std::vector<Axes> inputs, outputs;
};

struct sg_engine {
  explicit sg_engine(sg::Manifest read) : manifest(std::move(read)) {}
  sg_manifest manifest;
  sg::Notes notes;                       // of loading it
  std::unique_ptr<sg::Sampler> sampler;  // refers to the manifest
  sg::Engine& main() const { return sampler->engine(0); }
};

namespace {

template <class T>
T& need(T* pointer, const char* name) {
  if (pointer == nullptr) throw sg::Failure(SG_BAD_ARGUMENT, sg::cat(name, " is a null pointer"));
  return *pointer;
}

double or_nan(const std::optional<double>& value) {
  return value.value_or(std::numeric_limits<double>::quiet_NaN());
}

void tensor_info(const std::vector<sg::Tensor>& tensors, const std::vector<sg_manifest::Axes>& axes, size_t index,
                 sg_tensor_info* info, const char* what) {
  if (index >= tensors.size()) {
    throw sg::Failure(SG_BAD_ARGUMENT, sg::cat(what, " ", std::to_string(index), " does not exist; there are ",
                                               std::to_string(tensors.size())));
  }
  const sg::Tensor& tensor = tensors[index];
  sg_tensor_info out = SG_TENSOR_INFO_INIT;
  out.name = tensor.name.c_str();
  out.description = tensor.description.c_str();
  out.dtype = tensor.dtype;
  out.role = tensor.role;
  out.rank = tensor.shape.size();
  out.shape = axes[index].sizes.data();
  out.axes = axes[index].symbols.data();
  out.default_value = or_nan(tensor.default_value);
  out.minimum = or_nan(tensor.minimum);
  out.maximum = or_nan(tensor.maximum);
  sg::fill_struct(info, out, "sg_tensor_info");
}

}  // namespace

extern "C" {

uint32_t sg_abi_version(void) { return SG_ABI_VERSION; }
const char* sg_version(void) { return SG_VERSION_TEXT; }
const char* sg_last_error(void) { return sg::last_error(); }

const char* sg_dtype_name(int32_t dtype) {
  const sg::DTypeInfo* info = sg::dtype_info(dtype);
  return info != nullptr ? info->name : nullptr;
}

size_t sg_dtype_size(int32_t dtype) {
  const sg::DTypeInfo* info = sg::dtype_info(dtype);
  return info != nullptr ? info->size : 0;
}

sg_status sg_manifest_open(const char* path, sg_manifest** manifest) {
  return sg::guarded([&] {
    need(manifest, "manifest") = nullptr;
    need(path, "path");
    *manifest = std::make_unique<sg_manifest>(sg::read_manifest(path)).release();
  });
}

void sg_manifest_close(sg_manifest* manifest) { delete manifest; }

sg_status sg_manifest_info(const sg_manifest* handle, sg_info* info) {
  return sg::guarded([&] {
    const sg::Manifest& manifest = need(handle, "manifest").manifest;
    sg_info out = SG_INFO_INIT;
    out.name = manifest.name.c_str();
    out.layout = manifest.layout.c_str();
    out.model = manifest.model.c_str();
    out.prediction_type = manifest.prediction_type.c_str();
    out.scheduler = manifest.scheduler.c_str();
    out.steps = manifest.steps;
    out.nfe = manifest.nfe;
    out.batch = manifest.batch();
    out.slices = manifest.slices;
    out.init_noise_sigma = manifest.init_noise_sigma;
    out.guidance_mode = manifest.guidance_mode.c_str();
    out.guidance_scale = or_nan(manifest.guidance_scale);
    out.weights_file = manifest.weights_file ? manifest.weights_file->c_str() : nullptr;
    out.input_count = manifest.inputs.size();
    out.output_count = manifest.outputs.size();
    out.noise_kind = manifest.noise_kind;
    if (manifest.engine) {
      out.builder = manifest.engine->builder.c_str();
      out.builder_version = manifest.engine->builder_version.c_str();
      out.target = manifest.engine->target.c_str();
    }
    sg::fill_struct(info, out, "sg_info");
  });
}

sg_status sg_manifest_input(const sg_manifest* manifest, size_t index, sg_tensor_info* info) {
  return sg::guarded([&] {
    const sg_manifest& self = need(manifest, "manifest");
    tensor_info(self.manifest.inputs, self.inputs, index, info, "input");
  });
}

sg_status sg_manifest_output(const sg_manifest* manifest, size_t index, sg_tensor_info* info) {
  return sg::guarded([&] {
    const sg_manifest& self = need(manifest, "manifest");
    tensor_info(self.manifest.outputs, self.outputs, index, info, "output");
  });
}

const char* sg_manifest_json(const sg_manifest* manifest) {
  return manifest != nullptr ? manifest->manifest.json.c_str() : nullptr;
}

sg_status sg_engine_open(const char* path, const sg_options* options, sg_engine** engine) {
  return sg::guarded([&] {
    need(engine, "engine") = nullptr;
    const std::string file = &need(path, "path");
    const sg::Settings settings = sg::settings(options);
    auto out = std::make_unique<sg_engine>(sg::read_graph_manifest(file));
    out->sampler = sg::load_sampler(file, out->manifest.manifest, settings, out->notes);
    *engine = out.release();
  });
}

void sg_engine_close(sg_engine* engine) { delete engine; }

const sg_manifest* sg_engine_manifest(const sg_engine* engine) {
  return engine != nullptr ? &engine->manifest : nullptr;
}

const char* sg_engine_providers(const sg_engine* engine) {
  return engine != nullptr ? engine->main().backend().providers().c_str() : nullptr;
}

const char* sg_engine_library_version(const sg_engine* engine) {
  return engine != nullptr ? engine->main().backend().library_version().c_str() : nullptr;
}

size_t sg_engine_notes(const sg_engine* engine, char* text, size_t size) {
  std::string all;
  const sg_status status = sg::guarded([&] {
    std::vector<std::string> notes = need(engine, "engine").notes.all();
    for (std::string& note : engine->main().backend().notes()) notes.push_back(std::move(note));
    for (const std::string& note : notes) all += (all.empty() ? "" : "\n") + note;
  });
  if (status != SG_OK) return 0;
  if (text != nullptr && size > 0) text[all.copy(text, size - 1)] = '\0';
  return all.size();
}

const int64_t* sg_engine_step_counts(const sg_engine* engine, size_t* count) {
  const std::vector<int64_t>* known = engine != nullptr ? &engine->sampler->step_counts() : nullptr;
  if (count != nullptr) *count = known != nullptr ? known->size() : 0;
  return known != nullptr ? known->data() : nullptr;
}

sg_status sg_count(const sg_engine* engine, const sg_request* request, int64_t* samples) {
  return sg::guarded([&] {
    need(samples, "samples") = 0;
    const sg::Sampler& sampler = *need(engine, "engine").sampler;
    const sg_request known = sg::known_fields(request);
    *samples = sampler.engine(known.steps).count(known);
  });
}

sg_status sg_sample(sg_engine* engine, const sg_request* request, void* output, size_t bytes) {
  return sg::guarded([&] {
    const sg::Sampler& sampler = *need(engine, "engine").sampler;
    const sg_request known = sg::known_fields(request);
    sampler.engine(known.steps).sample(known, output, bytes);
  });
}

sg_status sg_sample_device(sg_engine* engine, const sg_request* request, void* output, size_t bytes) {
  return sg::guarded([&] {
    const sg::Sampler& sampler = *need(engine, "engine").sampler;
    const sg_request known = sg::known_fields(request);
    sampler.engine(known.steps).sample(known, output, bytes, true);
  });
}

sg_status sg_warm_up(sg_engine* engine, const sg_request* request, int32_t contexts) {
  return sg::guarded([&] {
    const sg::Sampler& sampler = *need(engine, "engine").sampler;
    if (contexts < 1) {
      throw sg::Failure(SG_BAD_ARGUMENT, sg::cat("contexts=", contexts, " is not allowed; give at least 1"));
    }
    if (request != nullptr) {
      const sg_request known = sg::known_fields(request);
      return sampler.engine(known.steps).warm_up(known, contexts);
    }
    sg::Engine& main = sampler.engine(0);
    const sg::DefaultRequest defaults(main.manifest());
    main.warm_up(defaults.request(), contexts);
  });
}

sg_status sg_stop_create(sg_engine* engine, sg_stop** stop) {
  return sg::guarded([&] {
    need(stop, "stop") = nullptr;
    auto out = std::make_unique<sg_stop>();
    out->backend = need(engine, "engine").main().shared_backend();
    out->signal = out->backend->stop_signal();
    *stop = out.release();
  });
}

void sg_stop_destroy(sg_stop* stop) { delete stop; }

void sg_stop_request(sg_stop* stop) {
  if (stop == nullptr) return;
  stop->requested.store(true);
  stop->signal->request();
}

void sg_stop_reset(sg_stop* stop) {
  if (stop == nullptr) return;
  stop->signal->reset();
  stop->requested.store(false);
}

}  // extern "C"
