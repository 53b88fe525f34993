/**
 * What a call costs beyond the engine: samplegraph-overhead GRAPH.onnx [CALLS] [THREADS], figures as JSON.
 *
 * Two ways. `outside_us`: in each call, the time that is not spent inside the engine's run (checks, noise, copies);
 * it needs no second run and so does not suffer from a busy machine. `call_us` against `bare_us`: whole calls
 * and bare runs of the same bound buffers, in turn, as medians.
 */
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "default_request.hpp"
#include "engine.hpp"
#include "error.hpp"
#include "feed.hpp"
#include "onnxruntime/session.hpp"

namespace {

using Clock = std::chrono::steady_clock;
double inside = 0;  // microseconds in the engine during the current call

double since(Clock::time_point start) { return std::chrono::duration<double, std::micro>(Clock::now() - start).count(); }

class TimedBinding : public sg::Binding {
 public:
  explicit TimedBinding(std::unique_ptr<sg::Binding> inner) : inner_(std::move(inner)) {}
  void shape(const std::vector<std::vector<std::int64_t>>& in, const std::vector<std::int64_t>& out) override {
    inner_->shape(in, out);
  }
  sg::Mirror& input(std::size_t index) override { return inner_->input(index); }
  sg::Mirror& output() override { return inner_->output(); }
  sg::Lane& lane() override { return inner_->lane(); }
  std::size_t parts() const override { return inner_->parts(); }
  sg::Position run(std::size_t part, sg::StopSignal* stop, bool watched) override {
    const auto start = Clock::now();
    const sg::Position reached = inner_->run(part, stop, watched);
    inside += since(start);
    return reached;
  }

 private:
  std::unique_ptr<sg::Binding> inner_;
};

class TimedBackend : public sg::Backend {
 public:
  explicit TimedBackend(std::unique_ptr<sg::Backend> inner) : inner_(std::move(inner)) {}
  std::unique_ptr<sg::Binding> bind() override { return std::make_unique<TimedBinding>(inner_->bind()); }
  std::unique_ptr<sg::StopSignal> stop_signal() override { return inner_->stop_signal(); }
  const std::string& providers() const override { return inner_->providers(); }
  const std::string& library_version() const override { return inner_->library_version(); }

 private:
  std::unique_ptr<sg::Backend> inner_;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void measure(const char* path, int calls, int threads) {
  const sg::Manifest manifest = sg::read_graph_manifest(path);
  sg::Settings settings;
  settings.threads = threads;
  auto loaded = std::make_unique<TimedBackend>(sg::whole_graph(manifest, sg::ort::load(path, manifest, settings)));
  sg::Backend& backend = *loaded;
  sg::Engine engine(manifest, std::move(loaded));
  const sg::DefaultRequest defaults(manifest);
  const sg_request request = defaults.request();
  sg::Call call(manifest);
  sg::assemble(manifest, request, call);
  const std::size_t bytes = static_cast<std::size_t>(call.samples * manifest.sample_size()) * manifest.outputs[0].type().size;
  const std::int64_t drawn = call.samples * manifest.noise_size() * manifest.draws();
  std::vector<char> output(bytes), noise(static_cast<std::size_t>(drawn) * sizeof(float));
  const auto bare = backend.bind();
  bare->shape(call.shapes, call.output_shape);
  sg::feed(manifest, call, 0, noise.data(), noise.data(), *bare);

  std::vector<double> whole, alone, outside;
  for (int i = -5; i < calls; ++i) {
    inside = 0;
    auto start = Clock::now();
    engine.sample(request, output.data(), output.size());
    const double total = since(start), in_engine = inside;
    start = Clock::now();
    bare->run(0, nullptr, false);
    const double plain = since(start);
    if (i < 0) continue;  // warm-up
    whole.push_back(total);
    outside.push_back(total - in_engine);
    alone.push_back(plain);
  }
  std::printf("{\"graph\": \"%s\", \"calls\": %d, \"outside_us\": %.2f, \"call_us\": %.2f, \"bare_us\": %.2f}\n",
              manifest.name.c_str(), calls, median(outside), median(whole), median(alone));
}

}  // namespace

int main(int count, char** values) {
  if (count < 2) {
    std::fputs("usage: samplegraph-overhead GRAPH.onnx [CALLS] [THREADS]\n", stderr);
    return 2;
  }
  try {
    measure(values[1], count > 2 ? std::max(1, std::atoi(values[2])) : 200, count > 3 ? std::atoi(values[3]) : 0);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
