#include "backend.hpp"
#include "caller_memory.hpp"
#include "manifest.hpp"

namespace sg {
namespace {

class WholeBinding : public Binding {
 public:
  WholeBinding(const Manifest& manifest, Graph& graph)
      : manifest_(manifest), lane_(graph.lane()), memory_(manifest, *lane_), sample_(*lane_), call_(graph.call(*lane_)) {}

  void shape(const std::vector<std::vector<std::int64_t>>& inputs, const std::vector<std::int64_t>& output) override {
    if (memory_.has(inputs, output)) return;
    memory_.reserve(inputs, output);
    sample_.reserve(byte_count(manifest_.outputs[0].dtype, output));
    for (std::size_t i = 0; i < inputs.size(); ++i) call_->input(i, memory_.input(i).graph(), inputs[i]);
    call_->output(0, sample_.graph(), output);
    memory_.settled();
  }
  Mirror& input(std::size_t index) override { return memory_.input(index); }
  Mirror& output() override { return sample_; }
  Lane& lane() override { return *lane_; }
  std::size_t parts() const override { return 1; }
  Position run(std::size_t, StopSignal* stop, bool watched) override {
    call_->run(stop);
    if (watched) lane_->wait();
    return {manifest_.steps - 1, nullptr};
  }

 private:
  const Manifest& manifest_;
  std::shared_ptr<Lane> lane_;  // outlives what follows
  CallerMemory memory_;
  Mirror sample_;
  std::unique_ptr<GraphCall> call_;
};

class WholeGraph : public GraphBackend {
 public:
  WholeGraph(const Manifest& manifest, std::shared_ptr<Graph> graph) : GraphBackend(std::move(graph)), manifest_(manifest) {}
  std::unique_ptr<Binding> bind() override { return std::make_unique<WholeBinding>(manifest_, *graph_); }

 private:
  const Manifest& manifest_;
};

}  // namespace

std::unique_ptr<Backend> whole_graph(const Manifest& manifest, std::shared_ptr<Graph> graph) {
  return std::make_unique<WholeGraph>(manifest, std::move(graph));
}

}  // namespace sg
