#include <cmath>
#include <exception>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "error.hpp"
#include "manifest.hpp"
#include "text.hpp"

namespace sg {
namespace {

using Json = nlohmann::json;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;  // of one sample or condition row
constexpr const char* kRoles[] = {"noise", "step_noise", "condition", "negative", "guidance_scale", "sample"};

[[noreturn]] void damaged(const std::string& reason) { throw std::runtime_error(reason); }

std::string brief(const Json& value) {
  return one_line(value.dump(-1, ' ', false, Json::error_handler_t::replace), 40);
}

const Json& member(const Json& data, const char* key) {
  if (!data.is_object()) damaged(cat("a group that holds ", in_quotes(key), " is not an object"));
  const auto found = data.find(key);
  if (found == data.end()) damaged(cat(in_quotes(key), " is missing"));
  return *found;
}

std::string text(const Json& data, const char* key) {
  const Json& value = member(data, key);
  if (!value.is_string()) damaged(cat(key, " is not text"));
  return value.get<std::string>();
}

std::int64_t whole(const Json& value, const std::string& name, std::int64_t low) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < low ||
      (value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())) {
    damaged(cat(name, " is ", brief(value)));
  }
  return value.get<std::int64_t>();
}

std::optional<double> number(const Json& data, const char* key) {
  const auto found = data.find(key);
  if (found == data.end() || found->is_null()) return std::nullopt;
  if (!found->is_number()) damaged(cat(key, " is not a number"));
  return found->get<double>();
}

const Json& list(const Json& data, const char* key) {
  const Json& value = member(data, key);
  if (!value.is_array()) damaged(cat(key, " is not a list"));
  return value;
}

Tensor tensor(const Json& data) {
  Tensor out;
  out.name = text(data, "name");
  const auto dtype = dtype_named(text(data, "dtype"));
  const std::string role = text(data, "role");
  for (int i = 0; i < SG_OUTPUT; ++i) {
    if (role == kRoles[i]) out.role = i + 1;
  }
  if (!dtype || out.role == 0) {
    damaged(cat("tensor ", in_quotes(out.name), " has dtype ", in_quotes(text(data, "dtype")), " and role ", in_quotes(role)));
  }
  out.dtype = *dtype;
  if (const auto found = data.find("description"); found != data.end() && found->is_string()) {
    out.description = found->get<std::string>();
  }
  const Json& shape = list(data, "shape");
  if (shape.size() > kMaxRank) damaged(cat(out.name, " has ", std::to_string(shape.size()), " axes"));
  std::int64_t elements = 1;
  for (const Json& axis : shape) {
    if (axis.is_string()) {
      out.shape.push_back({-1, axis.get<std::string>()});
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

/** What the runtime relies on: rows agree, step_noise has its slices, names are told apart. */
void check(const Manifest& manifest) {
  const Tensor* noise = manifest.input(SG_NOISE);
  if (manifest.outputs.empty() || noise == nullptr) damaged("it names no noise input or no output");
  const Tensor& sample = manifest.outputs[0];
  if (sample.shape.empty()) damaged("its output has no batch axis");
  for (std::size_t axis = 1; axis < sample.shape.size(); ++axis) {
    if (sample.shape[axis].symbolic()) damaged("its output has a symbolic axis other than the batch");
  }
  std::set<std::string> names;
  for (const Tensor& each : manifest.inputs) {
    if (!names.insert(each.name).second) damaged(cat("two inputs are called ", in_quotes(each.name)));
    if (each.role <= SG_STEP_NOISE && manifest.input(each.role) != &each) damaged(cat(each.name, " is a second noise"));
    const auto rows = each.row_axis();
    if (rows && (*rows >= each.shape.size() || each.shape[*rows].size != manifest.batch())) {
      damaged(cat(each.name, " and the output differ in their batch axis"));
    }
    if (each.role != SG_NOISE && each.role != SG_STEP_NOISE) continue;
    if (each.dtype != SG_FLOAT32 && each.dtype != SG_FLOAT16) damaged(cat(each.name, " is ", each.type().name));
    const std::size_t first = *rows + 1;
    if (noise->shape.size() < 2 || each.shape.size() - first != noise->shape.size() - 1) {
      damaged(cat(each.name, " has no shape of noise"));
    }
    for (std::size_t axis = first; axis < each.shape.size(); ++axis) {
      const std::int64_t size = each.shape[axis].size;
      if (size < 0 || size != noise->shape[axis - first + 1].size) damaged(cat(each.name, " has no shape of noise"));
    }
  }
  const Tensor* steps = manifest.input(SG_STEP_NOISE);
  if ((steps == nullptr ? 0 : steps->shape[0].size) != manifest.slices || (steps && steps->dtype != noise->dtype)) {
    damaged("step_noise and noise.slices contradict each other");
  }
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
  const Json& guidance = member(data, "guidance");
  out.guidance_mode = text(guidance, "mode");
  out.guidance_scale = number(guidance, "scale");
  const Json& noise = member(data, "noise");
  out.slices = whole(member(noise, "slices"), "noise.slices", 0);
  out.init_noise_sigma = number(noise, "init_noise_sigma").value_or(1.0);
  if (const Json& file = member(member(data, "weights"), "file"); !file.is_null()) {
    if (!file.is_string()) damaged("weights.file is not text");
    out.weights_file = file.get<std::string>();
  }
  member(data, "versions");
  for (const Json& each : list(data, "inputs")) out.inputs.push_back(tensor(each));
  for (const Json& each : list(data, "outputs")) out.outputs.push_back(tensor(each));
  check(out);
  return out;
}

void check_version(const Json& data, const std::string& source) {
  const auto version = data.find("format_version");
  const bool known = version != data.end() && version->is_number_integer();
  if (!known || version->get<double>() < 1) {
    const std::string shown = version == data.end() ? "None" : brief(*version);
    throw Failure(SG_BAD_FILE, cat(source, ": format_version=", shown, " is not a version; export the file again"));
  }
  if (version->get<double>() > kFormatVersion) {
    throw Failure(SG_BAD_FILE, cat(source, ": manifest version ", brief(*version), " is newer than this runtime, ",
                                   "which reads up to ", kFormatVersion, "; update samplegraph"));
  }
}

/** nlohmann's message without its number. */
std::string reason(const std::exception& error) {
  const std::string what = error.what();
  const std::size_t end = what.rfind("[json.exception.", 0) == 0 ? what.find("] ") : std::string::npos;
  return one_line(end == std::string::npos ? what : what.substr(end + 2), 160);
}

}  // namespace

Manifest parse_manifest(std::string json, const std::string& source) {
  Json data;
  try {
    data = Json::parse(json);
  } catch (const Json::exception& error) {
    throw Failure(SG_BAD_FILE, cat(source, ": the manifest is not JSON (", reason(error), "); export the file again"));
  }
  const auto format = data.is_object() ? data.find("format") : data.end();
  if (!data.is_object() || format == data.end() || !format->is_string() || *format != "samplegraph") {
    throw Failure(SG_BAD_FILE,
                  cat(source, ": not a samplegraph manifest; give a file that `samplegraph export` wrote"));
  }
  check_version(data, source);
  try {
    Manifest out = parse(data);
    out.json = std::move(json);
    return out;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Failure(SG_BAD_FILE, cat(source, ": the manifest is damaged (", reason(error), "); export the file again"));
  }
}

}  // namespace sg
