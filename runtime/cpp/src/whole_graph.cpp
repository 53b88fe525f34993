#include "backend.hpp"
#include "caller_memory.hpp"
#include "manifest.hpp"

namespace sg {
namespace {

class WholeBinding : public Binding {
 public:
  WholeBinding(const Manifest& manifest, std::unique_ptr<GraphCall> call)
      : manifest_(manifest), memory_(manifest), call_(std::move(call)) {}

  void shape(const std::vector<std::vector<std::int64_t>>& inputs, const std::vector<std::int64_t>& output) override {
    if (memory_.has(inputs, output)) return;
    memory_.reserve(inputs, output);
    sample_.reserve(byte_count(manifest_.outputs[0].dtype, output));
    for (std::size_t i = 0; i < inputs.size(); ++i) call_->input(i, memory_.data(i), inputs[i]);
    call_->output(0, sample_.data(), output);
    memory_.settled();
  }
  void* input(std::size_t index) override { return memory_.data(index); }
  const void* output() const override { return sample_.data(); }
  std::size_t parts() const override { return 1; }
  Position run(std::size_t, StopSignal* stop) override {
    call_->run(stop);
    return {manifest_.steps - 1, nullptr};
  }

 private:
  const Manifest& manifest_;
  CallerMemory memory_;
  Buffer sample_;
  std::unique_ptr<GraphCall> call_;
};

class WholeGraph : public GraphBackend {
 public:
  WholeGraph(const Manifest& manifest, std::shared_ptr<Graph> graph) : GraphBackend(std::move(graph)), manifest_(manifest) {}
  std::unique_ptr<Binding> bind() override { return std::make_unique<WholeBinding>(manifest_, graph_->call()); }

 private:
  const Manifest& manifest_;
};

}  // namespace

std::unique_ptr<Backend> whole_graph(const Manifest& manifest, std::shared_ptr<Graph> graph) {
  return std::make_unique<WholeGraph>(manifest, std::move(graph));
}

}  // namespace sg
