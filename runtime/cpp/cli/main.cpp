/** samplegraph-run: a compiled sampler from the command line. */
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "cli/arguments.hpp"
#include "cli/bench.hpp"
#include "cli/describe.hpp"
#include "cli/error.hpp"
#include "cli/interrupt.hpp"
#include "cli/npy.hpp"
#include "cli/output.hpp"
#include "cli/picture.hpp"
#include "cli/progress.hpp"

namespace {

using samplegraph::Engine;
using samplegraph::Request;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/** A value that is no array of numbers, in the words of the Python runtime. */
[[noreturn]] void refuse_value(const sg_tensor_info& tensor, const cli::Value& value) {
  const std::string dtype = sg_dtype_name(tensor.dtype);
  if (!value.broken.empty()) {
    cli::refuse(tensor.name, " is not an array (", value.broken, "); give ", cli::tensor_text(tensor));
  }
  const char* fix = dtype == "bool" ? "give true or false" : dtype.find("int") == 0 ? "give whole numbers" : "give numbers";
  cli::refuse(tensor.name, value.shown, " is ", value.type, "; allowed is ", dtype, "; ", fix);
}

void check_value(const Engine& engine, const cli::Setting& setting) {
  if (setting.value.kind != cli::Value::Kind::other) return;
  for (std::size_t i = 0; i < engine.info().input_count; ++i) {
    const sg_tensor_info tensor = engine.input(i);
    if (setting.name == tensor.name) refuse_value(tensor, setting.value);
  }
}

Request make_request(const Engine& engine, const cli::Arguments& arguments) {
  Request request;
  std::string drawn;  // noise, else step_noise
  bool own_noise = false;
  for (std::size_t i = 0; i < engine.info().input_count; ++i) {
    const std::int32_t role = engine.input(i).role;
    if (role == SG_NOISE) drawn = "noise";
    else if (role == SG_STEP_NOISE && drawn.empty()) drawn = "step_noise";
  }
  for (const cli::Setting& each : arguments.settings) {
    const cli::Value& value = each.value;
    if (value.kind == cli::Value::Kind::none) continue;
    check_value(engine, each);
    own_noise = own_noise || each.name == drawn;
    request.view(each.name, value.bytes.empty() ? "" : value.bytes.data(), value.shape, value.dtype);
  }
  if (arguments.guidance_scale) request.set("guidance_scale", *arguments.guidance_scale);
  if (arguments.seeds && arguments.seeds->each) request.seeds(arguments.seeds->values);
  else if (arguments.seeds) request.seed(arguments.seeds->values[0]);
  else if (!drawn.empty() && !own_noise) request.seed(0);
  return request.samples(arguments.samples).steps(arguments.steps).rng(arguments.rng);
}

int describe(const cli::Arguments& arguments) {
  sg_manifest* manifest = nullptr;
  samplegraph::check(sg_manifest_open(arguments.file.c_str(), &manifest));
  std::cout << (arguments.json ? sg_manifest_json(manifest) : cli::describe(manifest));
  sg_manifest_close(manifest);
  return 0;
}

void write(const samplegraph::Array& samples, const std::string& output, cli::Range range) {
  const bool drawn = cli::suffix(output) == ".png";
  cli::write_file(output, drawn ? cli::png_bytes(samples, range) : cli::npy_bytes(samples));
}

void report(const cli::Arguments& arguments, const samplegraph::Array& samples, const std::string& output, double load,
            double draw, const std::string& providers) {
  std::string size;
  for (std::size_t axis = 1; axis < samples.shape().size(); ++axis) {
    size += (axis > 1 ? "x" : "") + std::to_string(samples.shape()[axis]);
  }
  if (arguments.bench > 0 && arguments.json) return;
  std::printf("%s  %lld %s of %s, loaded in %.2f s, sampled in %.2f s by %s\n", output.c_str(),
              static_cast<long long>(samples.shape()[0]), samples.shape()[0] == 1 ? "sample" : "samples", size.c_str(),
              load, draw, providers.substr(0, providers.find(',')).c_str());
}

void tell_notes(const Engine& engine) {
  std::istringstream notes(engine.notes());
  for (std::string note; std::getline(notes, note);) std::fprintf(stderr, "note: %s\n", note.c_str());
}

int run(const cli::Arguments& arguments) {
  std::string output = arguments.output;
  if (!output.empty()) cli::check_output(output);
  samplegraph::Options options;
  options.onnxruntime = arguments.onnxruntime;
  options.providers.assign(arguments.providers.begin(), arguments.providers.end());
  options.threads = arguments.threads;
  options.affinity = arguments.affinity;
  options.tensorrt = arguments.tensorrt;
  options.device = arguments.device;
  options.tf32 = arguments.tf32;
  const double start = now();
  Engine engine(arguments.file, options);
  const double load = now() - start;

  const sg_tensor_info sample = engine.output();
  const std::vector<std::int64_t> shape(sample.shape + 1, sample.shape + sample.rank);
  if (output.empty() && arguments.bench == 0) {
    output = cli::stem(arguments.file) + (cli::is_picture(shape) ? ".png" : ".npy");
    cli::check_output(output);
  }
  if (cli::suffix(output) == ".png") cli::check_picture(shape);

  samplegraph::Stop stop(engine);
  Request request = make_request(engine, arguments);
  request.stop(stop);
  cli::interrupt_stops(&stop);
  const double begin = now();
  if (cli::shows_progress()) request.progress(cli::show_progress);
  samplegraph::Array samples = engine.sample(request);
  request.progress(nullptr);
  const double draw = now() - begin;
  if (arguments.bench > 0) {
    std::cout << cli::bench(arguments.bench, arguments.warm_up, arguments.json, [&] {
      engine.sample_into(request, samples.bytes().data(), samples.bytes().size());
    });
  }
  cli::interrupt_stops(nullptr);
  tell_notes(engine);
  if (output.empty()) return 0;
  write(samples, output, cli::range_of(sample));
  report(arguments, samples, output, load, draw, engine.providers());
  return 0;
}

int fail(const std::string& text, int code) {
  std::string line;
  for (const char c : text) line += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  cli::clear_progress();
  std::fprintf(stderr, "error: %s\n", line.c_str());
  return code;
}

}  // namespace

int main(int count, char** values) {
  try {
    const cli::Arguments arguments = cli::parse_arguments({values + 1, values + count});
    if (arguments.help) return std::fputs(cli::kHelp, stdout) < 0 ? 1 : 0;
    if (arguments.version) return std::printf("samplegraph-run %s\n", sg_version()) < 0 ? 1 : 0;
    cli::catch_interrupts();
    return arguments.describe ? describe(arguments) : run(arguments);
  } catch (const samplegraph::Error& error) {
    return error.code() == SG_CANCELLED ? fail("interrupted", 130) : fail(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return fail("out of memory; give fewer samples", 2);
  } catch (const std::exception& error) {
    return fail(error.what(), 2);
  }
}
