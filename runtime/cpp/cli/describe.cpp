#include "cli/describe.hpp"

#include <cmath>
#include <sstream>

#include "samplegraph/samplegraph.hpp"

namespace cli {
namespace {

std::string number(double value) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << value;
  return out.str();
}

void line(std::ostringstream& out, const std::string& name, const std::string& text) {
  out << "  " << name << std::string(name.size() < 18 ? 18 - name.size() : 1, ' ') << text << "\n";
}

std::string limits(const sg_tensor_info& tensor) {
  std::string out;
  if (!std::isnan(tensor.minimum) && !std::isnan(tensor.maximum)) out += ", " + number(tensor.minimum) + ".." + number(tensor.maximum);
  else if (!std::isnan(tensor.minimum)) out += ", at least " + number(tensor.minimum);
  else if (!std::isnan(tensor.maximum)) out += ", at most " + number(tensor.maximum);
  if (!std::isnan(tensor.default_value)) out += ", default " + number(tensor.default_value);
  return out;
}

}  // namespace

std::string tensor_text(const sg_tensor_info& tensor) {
  std::string out = std::string(sg_dtype_name(tensor.dtype)) + " (";
  for (std::size_t axis = 0; axis < tensor.rank; ++axis) {
    if (axis > 0) out += ", ";
    out += tensor.axes[axis] != nullptr ? tensor.axes[axis] : std::to_string(tensor.shape[axis]);
  }
  return out + (tensor.rank == 1 ? ",)" : ")");
}

std::string describe(const sg_manifest* manifest) {
  sg_info info = SG_INFO_INIT;
  samplegraph::check(sg_manifest_info(manifest, &info));
  std::ostringstream out;
  out << info.name << "\n";
  line(out, "scheduler", std::string(info.scheduler) + ", " + std::to_string(info.steps) + " steps, " +
                             std::to_string(info.nfe) + " denoiser evaluations");
  line(out, "model", std::string(info.model) + ", predicts " + info.prediction_type);
  line(out, "layout", info.layout);
  if (info.builder != nullptr) {
    line(out, "engine", std::string("for ") + info.target + ", by " + info.builder + " " + info.builder_version);
  }
  line(out, "batch", info.batch < 0 ? "any" : std::to_string(info.batch));
  const std::string scale = std::isnan(info.guidance_scale) ? "" : ", scale " + number(info.guidance_scale);
  line(out, "guidance", info.guidance_mode + scale);
  line(out, "noise", std::string(info.noise_kind == SG_UNIFORM ? "uniform in [0, 1)" : "unit normal") + ", " +
                         std::to_string(info.slices) + " slices of step_noise");
  line(out, "weights", info.weights_file != nullptr ? info.weights_file : "embedded");
  const auto list = [&](const char* title, std::size_t count, auto&& get) {
    out << title << "\n";
    for (std::size_t i = 0; i < count; ++i) {
      sg_tensor_info tensor = SG_TENSOR_INFO_INIT;
      samplegraph::check(get(manifest, i, &tensor));
      line(out, tensor.name, tensor_text(tensor) + limits(tensor) + (*tensor.description ? "  " : "") + tensor.description);
    }
  };
  list("inputs", info.input_count, sg_manifest_input);
  list("outputs", info.output_count, sg_manifest_output);
  return out.str();
}

}  // namespace cli
