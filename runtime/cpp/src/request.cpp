#include "request.hpp"

#include <cstring>
#include <optional>

#include "request_rows.hpp"
#include "struct_copy.hpp"
#include "suggest.hpp"
#include "text.hpp"

namespace sg {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw Failure(SG_BAD_ARGUMENT, text); }

std::size_t array_count(const sg_request& request) { return request.input_count + request.device_input_count; }

bool is_on_device(const sg_request& request, std::size_t index) { return index >= request.input_count; }

/** Of all arrays, those on the host first. */
const sg_array& array_at(const sg_request& request, std::size_t index) {
  return is_on_device(request, index) ? request.device_inputs[index - request.input_count] : request.inputs[index];
}

/** What is given for `name`: its place among all arrays; none where it is not. Noise goes by its role, conditions by their names. */
std::optional<std::size_t> find(const sg_request& request, const char* name) {
  for (std::size_t i = 0; i < array_count(request); ++i) {
    if (std::strcmp(array_at(request, i).name, name) == 0) return i;
  }
  return std::nullopt;
}

Given check_found(const Tensor& tensor, const sg_request& request, std::size_t index) {
  return check_input(tensor, array_at(request, index), is_on_device(request, index));
}

void check_names(const sg_request& request) {
  if (request.input_count > 0 && request.inputs == nullptr) refuse("inputs is a null pointer; give input_count arrays");
  if (request.device_input_count > 0 && request.device_inputs == nullptr) {
    refuse("device_inputs is a null pointer; give device_input_count arrays");
  }
  for (std::size_t i = 0; i < array_count(request); ++i) {
    const char* name = array_at(request, i).name;
    if (name == nullptr) {
      const bool device = is_on_device(request, i);
      refuse(cat(device ? "device_inputs[" : "inputs[", std::to_string(device ? i - request.input_count : i),
                 "] has no name (a null pointer)"));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (std::strcmp(array_at(request, j).name, name) == 0) refuse(cat(name, " is given twice; give it once"));
    }
  }
}

void check_source(const Manifest& manifest, const sg_request& request) {
  const bool noise = find(request, "noise").has_value(), steps = find(request, "step_noise").has_value();
  if (request.rng != SG_TORCH && request.rng != SG_PHILOX) {
    refuse(cat("rng=", request.rng, ": allowed is SG_TORCH or SG_PHILOX; use SG_TORCH unless you need another"));
  }
  if (request.seed_kind < SG_SEED_NONE || request.seed_kind > SG_SEED_EACH) {
    refuse(cat("seed_kind=", request.seed_kind, " is none; set one of sg_seed_kind"));
  }
  const Tensor* drawn = manifest.drawn();
  if (drawn == nullptr) {
    const bool seed = request.seed_kind != SG_SEED_NONE;
    if (!seed && !noise && !steps) return;
    refuse(cat(seed ? "seed" : noise ? "noise" : "step_noise", " is given, but ", manifest.name,
               " draws no noise; leave it out"));
  }
  if (noise && drawn->role != SG_NOISE) {
    refuse(cat("noise is given, but ", manifest.name, " draws none before its steps; leave it out"));
  }
  if (request.seed_kind != SG_SEED_NONE && (noise || steps)) {
    std::string seed = request.seed_kind == SG_SEED_ONE ? std::to_string(request.seed) : "[";
    if (request.seed_kind == SG_SEED_EACH && request.seeds != nullptr) {
      for (std::size_t i = 0; i < request.seed_count && i < 20; ++i) {
        seed += cat(i > 0 ? ", " : "", request.seeds[i]);
      }
    }
    refuse(cat("seed=", seed, request.seed_kind == SG_SEED_ONE ? "" : "]", " and ", noise ? "noise" : "step_noise",
               " are both given; give a seed, or the noise arrays"));
  }
  if (request.seed_kind == SG_SEED_NONE && !(drawn->role == SG_NOISE ? noise : steps)) {
    refuse(cat("seed is missing; give seed=0 (or one per sample), or your own ",
               drawn->role == SG_STEP_NOISE ? "step_noise" : manifest.slices > 0 ? "noise and step_noise" : "noise"));
  }
  if (request.seed_kind == SG_SEED_EACH && request.seeds == nullptr) refuse("seeds is a null pointer; give seed_count seeds");
  if (request.seed_kind == SG_SEED_EACH && request.seed_count == 0) refuse("seed is empty; give one per sample");
}

std::string number_text(const sg_array& array) {
  if (array.rank != 0 || array.data == nullptr) return "...";
  double value = 0;
  if (array.dtype == SG_FLOAT64) std::memcpy(&value, array.data, sizeof value);
  float single = 0;
  if (array.dtype == SG_FLOAT32) std::memcpy(&single, array.data, sizeof single);
  std::int64_t whole = 0;
  if (array.dtype == SG_INT64) std::memcpy(&whole, array.data, sizeof whole);
  if (array.dtype == SG_INT64) return std::to_string(whole);
  return array.dtype == SG_FLOAT64 || array.dtype == SG_FLOAT32 ? float_repr(value + single) : "...";
}

[[noreturn]] void unknown(const Manifest& manifest, const sg_array& array, bool on_device, const std::vector<std::string>& takes) {
  const std::string name = array.name;
  if (name == "guidance_scale") {
    const auto scale = manifest.guidance_scale;
    const std::string has = scale ? cat("has ", float_short(*scale), " baked in")
                            : manifest.guidance_mode == "per_step" ? "has one per step baked in"
                                                                   : "has no guidance";
    refuse(cat("guidance_scale=", on_device ? "..." : number_text(array), " is not an input of ", manifest.name, ", which ", has,
               "; leave it out or export again"));
  }
  std::string known;
  for (const std::string& each : takes) known += (known.empty() ? "" : ", ") + each;
  refuse(cat(in_quotes(name), " is not an input of ", manifest.name, ", which takes ",
             known.empty() ? "no conditions" : known, suggest(name, takes)));
}

void check_known(const Manifest& manifest, const sg_request& request) {
  const auto is_condition = [&](const char* name) {
    for (const Tensor& tensor : manifest.inputs) {
      if (!is_noise(tensor) && tensor.name == name) return true;
    }
    return false;
  };
  for (std::size_t i = 0; i < array_count(request); ++i) {
    const char* name = array_at(request, i).name;
    if (is_condition(name) || std::strcmp(name, "noise") == 0 || std::strcmp(name, "step_noise") == 0) continue;
    std::vector<std::string> takes;
    for (const Tensor& tensor : manifest.inputs) {
      if (!is_noise(tensor)) takes.push_back(tensor.name);
    }
    unknown(manifest, array_at(request, i), is_on_device(request, i), takes);
  }
}

/** One row of the default; its data is filled in later. */
Given default_row(const Tensor& tensor) {
  Given given;
  given.dtype = tensor.dtype;
  given.rank = tensor.shape.size();
  given.elements = 1;
  for (std::size_t axis = 0; axis < given.rank; ++axis) {
    if (axis > 0 && tensor.shape[axis].symbolic()) throw missing(tensor);
    given.shape[axis] = axis == 0 ? 1 : tensor.shape[axis].size;
  }
  return given;
}

void gather(const Manifest& manifest, const sg_request& request, Call& call) {
  check_known(manifest, request);
  for (std::size_t i = 0; i < manifest.inputs.size(); ++i) {
    const Tensor& tensor = manifest.inputs[i];
    if (is_noise(tensor)) continue;
    const auto found = find(request, tensor.name.c_str());
    if (!found && !tensor.default_value) throw missing(tensor);
    call.given[i] = found ? check_found(tensor, request, *found) : default_row(tensor);
  }
}

void own_noise(const Manifest& manifest, const sg_request& request, Call& call) {
  const auto found = find(request, "step_noise");
  const sg_array* steps = found ? &array_at(request, *found) : nullptr;
  if (manifest.input(SG_STEP_NOISE) == nullptr && steps != nullptr &&
      !(steps->rank > 0 && steps->shape != nullptr && steps->shape[0] == 0)) {
    refuse(cat("step_noise is given, but ", manifest.name, " draws none in its steps; leave it out"));
  }
  for (const std::int32_t role : {SG_NOISE, SG_STEP_NOISE}) {
    const Tensor* tensor = manifest.input(role);
    if (tensor == nullptr) continue;
    const auto given = find(request, argument_name(*tensor));
    if (!given) throw missing(*tensor, ", the slices in step order");
    call.given[static_cast<std::size_t>(tensor - manifest.inputs.data())] = check_found(*tensor, request, *given);
  }
}

}  // namespace

Call::Call(const Manifest& manifest) : given(manifest.inputs.size()) {
  for (const Tensor& tensor : manifest.inputs) shapes.emplace_back(tensor.shape.size());
  for (const Axis& axis : manifest.outputs[0].shape) output_shape.push_back(axis.size);
}

sg_request known_fields(const sg_request* request) {
  if (request == nullptr) refuse("request is a null pointer");
  return copy_struct(request, "sg_request");
}

void assemble(const Manifest& manifest, const sg_request& request, Call& call) {
  check_names(request);
  check_source(manifest, request);
  call.drawn = request.seed_kind != SG_SEED_NONE;
  for (Given& given : call.given) given = Given{};
  gather(manifest, request, call);
  if (!call.drawn) own_noise(manifest, request, call);
  settle_rows(manifest, request, call);
}

}  // namespace sg
