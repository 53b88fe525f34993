/** The manifest's JSON: what is required, and what is said where it is not there. */
#include <iterator>
#include <set>
#include <stdexcept>

#include "error.hpp"
#include "json.hpp"
#include "json_fields.hpp"
#include "manifest.hpp"
#include "text.hpp"

namespace sg {
namespace {
using namespace fields;

constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;  // of one input or output
constexpr const char* kRoles[] = {"noise",  "step_noise", "condition", "negative",
                                  "guidance_scale", "sample", "image", "mask", "init_sample",
                                  "carried", "x0", "timestep", "coefficients", "constants"};  // in the order of sg_role
constexpr const char* kNoiseKinds[] = {"normal", "uniform"};                 // in that of sg_noise_kind

Tensor tensor(const Json& data) {
  Tensor out;
  out.name = text(data, "name");
  const auto dtype = dtype_named(text(data, "dtype"));
  const std::string role = text(data, "role");
  for (std::size_t i = 0; i < std::size(kRoles); ++i) {
    if (role == kRoles[i]) out.role = static_cast<std::int32_t>(i) + SG_NOISE;
  }
  if (!dtype || out.role == 0) {
    damaged(cat("tensor ", in_quotes(out.name), " has dtype ", in_quotes(text(data, "dtype")), " and role ",
                in_quotes(role)));
  }
  out.dtype = *dtype;
  if (const Json* found = data.find("description")) out.description = found->text();
  const std::vector<Json>& shape = list(data, "shape");
  if (shape.size() > kMaxRank) damaged(cat(out.name, " has ", std::to_string(shape.size()), " axes"));
  std::int64_t elements = 1;
  for (const Json& axis : shape) {
    if (axis.is(Json::Kind::text)) {
      out.shape.push_back({-1, axis.text()});
      continue;
    }
    out.shape.push_back({whole(axis, cat("an axis of ", out.name), 1), ""});
    if (out.shape.back().size > kMaxElements / elements) damaged(cat(out.name, " is too large"));
    elements *= out.shape.back().size;
  }
  out.default_value = number(data, "default");
  out.minimum = number(data, "minimum");
  out.maximum = number(data, "maximum");
  return out;
}

/** Noise is float32 or float16, and has one shape behind its row axis, of an axis or more. */
void check_noise(const Tensor& each, const Tensor& drawn) {
  const std::size_t first = *each.row_axis() + 1, other = drawn.row_axis().value_or(0) + 1;
  bool fits = drawn.shape.size() > other && each.shape.size() - first == drawn.shape.size() - other;
  for (std::size_t axis = first; fits && axis < each.shape.size(); ++axis) {
    fits = !each.shape[axis].symbolic() && each.shape[axis].size == drawn.shape[axis - first + other].size;
  }
  if (each.dtype != SG_FLOAT32 && each.dtype != SG_FLOAT16) damaged(cat(each.name, " is ", each.type().name));
  if (!fits || each.dtype != drawn.dtype) damaged(cat(each.name, " has no shape of noise"));
}

/** Whether a caller gets what the graph gives. */
bool same_output(const Manifest& manifest) { return manifest.outputs[0].name == manifest.graph_outputs[0].name; }

/** The layout says whether the graph is a part of a sampler. */
void check_part(const Manifest& manifest) {
  const bool step = manifest.layout == "step" || manifest.layout.rfind("repeated", 0) == 0;
  const bool chunked = manifest.layout.rfind("chunked", 0) == 0;
  if (step != manifest.recurrence.has_value()) {
    damaged(cat("layout ", in_quotes(manifest.layout), " and the table of coefficients do not go together"));
  }
  if (chunked != manifest.chunk.has_value()) {
    damaged(cat("layout ", in_quotes(manifest.layout), " and a place among chunks do not go together"));
  }
  if (step && manifest.recurrence->tables[0].noise_slices != manifest.slices) {
    damaged("the first table of coefficients and noise.slices contradict each other");
  }
  if (step && (manifest.staged || !same_output(manifest))) {
    damaged("a table of coefficients drives no module in front or behind");
  }
  if (!chunked && !same_output(manifest)) damaged("its result is not its graph's output, and it is no chunk");
  std::set<std::string> names;
  for (const std::vector<Tensor>* tensors : {&manifest.graph_inputs, &manifest.graph_outputs}) {
    names.clear();
    for (const Tensor& each : *tensors) {
      if (!names.insert(each.name).second) damaged(cat("two tensors are called ", in_quotes(each.name)));
    }
  }
}

/** What the runtime relies on: rows agree, step_noise has its slices, names are told apart. */
void check(const Manifest& manifest) {
  const bool starts = manifest.input(SG_NOISE) != nullptr || manifest.input(SG_INIT_SAMPLE) != nullptr;
  if (manifest.graph_outputs.empty() || !starts) {
    damaged("it names no noise input and no init_sample, or no output");
  }
  for (const Tensor* rows : {&manifest.outputs[0], &manifest.graph_outputs[0], &manifest.shown()}) {
    if (rows->shape.empty()) damaged("its output has no batch axis");
    for (std::size_t axis = 1; axis < rows->shape.size(); ++axis) {
      if (rows->shape[axis].symbolic()) damaged("its output has a symbolic axis other than the batch");
    }
    if (rows->shape[0].size != manifest.batch()) damaged("its outputs differ in their batch axis");
  }
  std::set<std::string> names;
  for (const Tensor& each : manifest.inputs) {
    if (!names.insert(each.name).second) damaged(cat("two inputs are called ", in_quotes(each.name)));
    if (each.role == SG_OUTPUT || each.role >= SG_CARRIED) damaged(cat("a caller cannot give ", in_quotes(each.name)));
    const auto rows = each.row_axis();
    if (rows && (*rows >= each.shape.size() || each.shape[*rows].size != manifest.batch())) {
      damaged(cat(each.name, " and the output differ in their batch axis"));
    }
    if (each.role != SG_NOISE && each.role != SG_STEP_NOISE) continue;
    if (manifest.input(each.role) != &each) damaged(cat(each.name, " is a second noise"));
    if (!rows) damaged(cat(each.name, " has no shape of noise"));
    check_noise(each, *manifest.drawn());
  }
  const Tensor* steps = manifest.input(SG_STEP_NOISE);
  if ((steps == nullptr ? 0 : steps->shape[0].size) != manifest.slices) {
    damaged("step_noise and noise.slices contradict each other");
  }
  check_part(manifest);
}

/** What the noise is; a manifest that does not say has normals. */
std::int32_t noise_kind(const Json& noise) {
  if (noise.find("kind") == nullptr) return SG_NORMAL;
  const Json& kind = member(noise, "kind");
  for (std::size_t i = 0; i < std::size(kNoiseKinds); ++i) {
    if (kind.is(Json::Kind::text) && kind.text() == kNoiseKinds[i]) return static_cast<std::int32_t>(i);
  }
  damaged(cat("noise.kind is ", kind.shown()));
}

OptimizedFor optimized_for(const Json& data) {
  OptimizedFor out;
  out.provider = text(data, "provider");
  out.onnxruntime = text(data, "onnxruntime");
  out.channel_block = whole(member(data, "channel_block"), "optimized_for.channel_block", 0);
  const Json& prepack = member(data, "prepack");
  if (!prepack.is(Json::Kind::boolean)) damaged("prepack is not of type bool");
  out.prepack = prepack.truth();
  if (!member(data, "file").is(Json::Kind::null)) out.file = text(data, "file");
  return out;
}

Manifest parse(const Json& data) {
  Manifest out;
  out.name = text(data, "name");
  out.layout = text(data, "layout");
  out.model = text(member(data, "model"), "name");
  out.prediction_type = text(member(data, "model"), "prediction_type");
  const Json& scheduler = member(data, "scheduler");
  out.scheduler = text(scheduler, "name");
  out.steps = whole(member(scheduler, "steps"), "scheduler.steps", 1);
  out.nfe = whole(member(scheduler, "nfe"), "scheduler.nfe", 0);
  for (const char* key : {"timesteps", "alphas", "sigmas"}) {
    for (const Json& value : list(member(data, "tables"), key)) {
      if (!value.is_number()) damaged(cat("tables.", key, " holds what is no number"));
    }
  }
  list(member(data, "tables"), "evaluations");
  out.tables_sha256 = text(member(data, "tables"), "sha256");
  out.weights_sha256 = text(member(data, "weights"), "sha256");
  const Json& guidance = member(data, "guidance");
  out.guidance_mode = text(guidance, "mode");
  out.guidance_scale = number(guidance, "scale");
  const Json& noise = member(data, "noise");
  out.slices = whole(member(noise, "slices"), "noise.slices", 0);
  out.noise_kind = noise_kind(noise);
  out.init_noise_sigma = number(noise, "init_noise_sigma").value_or(1.0);
  if (const Json& file = member(member(data, "weights"), "file"); !file.is(Json::Kind::null)) {
    out.weights_file = text(member(data, "weights"), "file");
  }
  if (const Json* made = optional(data, "optimized_for")) {
    out.optimized_for = optimized_for(*made);
  }
  if (const Json* engine = optional(data, "engine")) out.engine = read_engine_info(*engine);
  if (data.find("precision") != nullptr) out.precision = text(data, "precision");
  member(data, "versions");
  for (const Json& each : list(data, "inputs")) out.graph_inputs.push_back(tensor(each));
  if (optional(data, "caller") != nullptr) {
    for (const Json& each : list(data, "caller")) out.inputs.push_back(tensor(each));
  }
  if (out.inputs.empty()) out.inputs = out.graph_inputs;
  if (const Json* chunk = optional(data, "chunk")) out.chunk = read_chunk(*chunk);
  if (const Json* recurrence = optional(data, "recurrence")) out.recurrence = read_recurrence(*recurrence);
  for (const Json& each : list(data, "outputs")) out.graph_outputs.push_back(tensor(each));
  if (optional(data, "results") != nullptr) {
    for (const Json& each : list(data, "results")) out.outputs.push_back(tensor(each));
  }
  if (out.outputs.empty()) out.outputs = out.graph_outputs;
  if (const Json* sample = optional(data, "sample")) out.sample = tensor(*sample);
  out.staged = optional(data, "post") != nullptr || (optional(data, "pre") != nullptr && !list(data, "pre").empty());
  check(out);
  return out;
}

void check_version(const Json& data, const std::string& source) {
  const Json* version = data.find("format_version");
  const bool known = version != nullptr && (version->is(Json::Kind::integer) || version->number() > 1e18);
  if (!known || version->number() < 1) {
    throw Failure(SG_BAD_FILE, cat(source, ": format_version=", version == nullptr ? "None" : version->shown(),
                                   " is not a version; export the file again"));
  }
  if (version->number() > kFormatVersion) {
    throw Failure(SG_BAD_FILE, cat(source, ": manifest version ", version->shown(), " is newer than this runtime, ",
                                   "which reads up to ", kFormatVersion, "; update samplegraph"));
  }
}

}  // namespace

Manifest parse_manifest(std::string json, const std::string& source) {
  const Json data = Json::parse(json, cat(source, ": the manifest is not JSON"), "; export the file again");
  const Json* format = data.find("format");
  if (format == nullptr || format->text() != "samplegraph") {
    throw Failure(SG_BAD_FILE,
                  cat(source, ": not a samplegraph manifest; give a file that `samplegraph export` wrote"));
  }
  check_version(data, source);
  try {
    Manifest out = parse(data);
    out.json = std::move(json);
    return out;
  } catch (const std::runtime_error& error) {
    throw Failure(SG_BAD_FILE, cat(source, ": the manifest is damaged (", one_line(error.what(), 160),
                                   "); export the file again"));
  }
}

}  // namespace sg
