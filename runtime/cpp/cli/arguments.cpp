#include "cli/arguments.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <limits>

#include "cli/error.hpp"

namespace cli {

const char* const kHelp =
    R"(Usage: samplegraph-run FILE [OPTIONS]

Draw samples with a compiled sampler, a graph or an engine, and write them as a picture or an array.

  --seed N[,N...]         one seed, or one per sample; default 0
  --set NAME=VALUE        an input: class_labels=3,1,4 or name=@file.npy; repeatable
  --guidance-scale X      short for --set guidance_scale=X
  --samples M             number of samples, where nothing else tells
  --steps N               of layout step: one of the step counts it has a table for
  --rng torch|philox      torch: as torch.randn on the CPU; default
  -o, --output FILE       a .png grid or a .npy array; default: the graph's name

  --bench N               time N calls and print percentiles; writes only with --output
  --warm-up N             calls before the timed ones; default 5
  --describe              print what the file is, and run nothing
  --json                  with --describe: the manifest itself; with --bench: the figures as JSON

  --onnxruntime PATH      libonnxruntime or its folder; default: $SAMPLEGRAPH_ONNXRUNTIME, else the loader's path
  --providers A,B         ONNX Runtime providers in order, such as cuda, or auto: the best that starts here; default: cpu
  --tf32                  let a GPU multiply float32 with 10 bits of mantissa
  --threads N             threads within an operator; default: one per core
  --affinity TEXT         processors of those threads, as ONNX Runtime's intra_op_thread_affinities: "2;3"
  --tensorrt PATH         of an engine: libnvinfer or libtensorrt_rtx, or its folder; default: $SAMPLEGRAPH_TENSORRT or
                          $SAMPLEGRAPH_TENSORRT_RTX, else the loader's path
  --device N              of an engine: the GPU, as CUDA numbers them; default: 0
  --version, -h, --help

Example: samplegraph-run digits-ddim-25.onnx --seed 0 --set class_labels=3,1,4 --output out.png
)";

namespace {

std::int64_t whole(const std::string& option, const std::string& text, std::int64_t low) {
  const Value value = parse_value(text, option);
  std::int64_t number = low - 1;
  if (value.kind == Value::Kind::array && value.dtype == SG_INT64 && value.shape.empty()) {
    std::memcpy(&number, value.bytes.data(), sizeof number);
  }
  if (number < low) refuse(option, "=", text, " is not allowed; give a whole number of at least ", low);
  return number;
}

int small(const std::string& option, const std::string& text, int low) {
  const std::int64_t number = whole(option, text, low);
  if (number > std::numeric_limits<int>::max()) refuse(option, "=", text, " is not allowed; give a smaller number");
  return static_cast<int>(number);
}

double number(const std::string& option, const std::string& text) {
  const Value value = parse_value(text, option);
  double out = 0;
  if (value.kind == Value::Kind::array && value.shape.empty() && value.dtype == SG_FLOAT64) {
    std::memcpy(&out, value.bytes.data(), sizeof out);
  } else if (value.kind == Value::Kind::array && value.shape.empty() && value.dtype == SG_INT64) {
    std::int64_t integer;
    std::memcpy(&integer, value.bytes.data(), sizeof integer);
    out = static_cast<double>(integer);
  } else {
    refuse(option, "=", text, " is not a number; give for example ", option, "=2.5");
  }
  return out;
}

std::vector<std::string> names(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    out.push_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  return out;
}

void add_setting(Arguments& out, const std::string& item) {
  Setting setting = parse_setting(item);
  for (const char* reserved : {"seed", "samples", "steps", "rng"}) {
    if (setting.name == reserved) refuse("--set ", setting.name, " is not an input of the graph; give --", reserved, " instead");
  }
  for (const char* reserved : {"progress", "preview", "device_output"}) {
    if (setting.name == reserved) refuse("--set ", setting.name, " is not an input of the graph; leave it out");
  }
  for (const Setting& each : out.settings) {
    if (each.name == setting.name) refuse("--set ", each.name, " is given twice; give it once, a list as ", each.name, "=1,2,3");
  }
  out.settings.push_back(std::move(setting));
}

using Action = std::function<void(Arguments&, const std::string&)>;

const std::map<std::string, Action>& with_value() {
  static const std::map<std::string, Action> table = {
      {"--seed", [](Arguments& a, const std::string& t) { a.seeds = parse_seeds(t); }},
      {"--set", add_setting},
      {"--guidance-scale", [](Arguments& a, const std::string& t) { a.guidance_scale = number("guidance_scale", t); }},
      {"--samples", [](Arguments& a, const std::string& t) { a.samples = whole("samples", t, 1); }},
      {"--steps", [](Arguments& a, const std::string& t) { a.steps = whole("steps", t, 1); }},
      {"--rng", [](Arguments& a, const std::string& t) {
         if (t != "torch" && t != "philox") refuse("rng='", t, "': allowed is 'torch' or 'philox'; use rng='torch' unless you need another");
         a.rng = t == "torch" ? SG_TORCH : SG_PHILOX;
       }},
      {"--output", [](Arguments& a, const std::string& t) { a.output = t; }},
      {"-o", [](Arguments& a, const std::string& t) { a.output = t; }},
      {"--bench", [](Arguments& a, const std::string& t) { a.bench = small("bench", t, 1); }},
      {"--warm-up", [](Arguments& a, const std::string& t) { a.warm_up = small("warm-up", t, 0); }},
      {"--onnxruntime", [](Arguments& a, const std::string& t) { a.onnxruntime = t; }},
      {"--providers", [](Arguments& a, const std::string& t) { a.providers = names(t); }},
      {"--threads", [](Arguments& a, const std::string& t) { a.threads = small("threads", t, 1); }},
      {"--tensorrt", [](Arguments& a, const std::string& t) { a.tensorrt = t; }},
      {"--device", [](Arguments& a, const std::string& t) { a.device = small("device", t, 0); }},
      {"--affinity", [](Arguments& a, const std::string& t) { a.affinity = t; }},
  };
  return table;
}

const std::map<std::string, bool Arguments::*> kFlags = {
    {"--help", &Arguments::help},         {"-h", &Arguments::help},       {"--version", &Arguments::version},
    {"--describe", &Arguments::describe}, {"--json", &Arguments::json},     {"--tf32", &Arguments::tf32},
};

}  // namespace

Arguments parse_arguments(const std::vector<std::string>& given) {
  Arguments out;
  for (std::size_t i = 0; i < given.size(); ++i) {
    std::string option = given[i];
    if (option.empty() || option[0] != '-' || option == "-") {
      if (!out.file.empty()) refuse("'", option, "' is one file too many; give one FILE");
      out.file = option;
      continue;
    }
    if (const auto flag = kFlags.find(option); flag != kFlags.end()) {
      out.*(flag->second) = true;
      continue;
    }
    const std::size_t equals = option.rfind("--", 0) == 0 ? option.find('=') : std::string::npos;
    const std::string name = option.substr(0, equals);
    const auto found = with_value().find(name);
    if (found == with_value().end()) refuse("no such option: ", name, "; samplegraph-run --help lists them");
    if (equals == std::string::npos && i + 1 == given.size()) refuse("option ", name, " needs a value");
    found->second(out, equals != std::string::npos ? option.substr(equals + 1) : given[++i]);
  }
  if (out.help || out.version) return out;
  if (out.file.empty()) refuse("FILE is missing; give the .onnx file that `samplegraph export` wrote");
  if (out.guidance_scale) {
    for (const Setting& each : out.settings) {
      if (each.name == "guidance_scale") refuse("--guidance-scale and --set guidance_scale are both given; give one of them");
    }
  }
  return out;
}

}  // namespace cli
