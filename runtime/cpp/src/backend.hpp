/** What draws one batch: a whole graph, a set of chunks, or a graph of one evaluation. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph.hpp"
#include "mirror.hpp"

namespace sg {

/** After step `step` (from 0): the clean samples predicted last, shaped as a sample; null: none yet, or none shown. */
struct Position {
  std::int64_t step = 0;
  const void* x0 = nullptr;
};

/** The buffers of one batch at a time, reused from batch to batch. */
class Binding {
 public:
  virtual ~Binding() = default;
  /** Fix the axes of every input and of output 0, in the manifest's order; does nothing where they are so already. */
  virtual void shape(const std::vector<std::vector<std::int64_t>>& inputs, const std::vector<std::int64_t>& output) = 0;
  /** Memory of input `index`: C order, valid until the next `shape`. Sent, or written on the graphs' side. */
  virtual Mirror& input(std::size_t index) = 0;
  /** That of output 0, once the last part has run. */
  virtual Mirror& output() = 0;
  /** What all of it runs in. */
  virtual Lane& lane() = 0;
  /** How many parts a batch has, at least 1. */
  virtual std::size_t parts() const = 0;
  /**
   * Run part `part`; all of them, in order, are one batch. Where it is `watched` it is done on return, and the
   * position shows x0. Failure SG_ENGINE_FAILED; `stop` may be null.
   */
  virtual Position run(std::size_t part, StopSignal* stop, bool watched) = 0;
};

/** A loaded sampler; its functions may be called from several threads at once. */
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::unique_ptr<Binding> bind() = 0;
  virtual std::unique_ptr<StopSignal> stop_signal() = 0;
  virtual const std::string& providers() const = 0;
  virtual const std::string& library_version() const = 0;
  /** What a user may want to know of how its graphs run. */
  virtual std::vector<std::string> notes() const { return {}; }
};

/** A sampler that is one graph. `manifest` outlives it, as in all that follow. */
std::unique_ptr<Backend> whole_graph(const Manifest& manifest, std::shared_ptr<Graph> graph);

/** What all of them know from their (first) graph. */
class GraphBackend : public Backend {
 public:
  explicit GraphBackend(std::shared_ptr<Graph> graph) : graph_(std::move(graph)) {}
  std::unique_ptr<StopSignal> stop_signal() override { return graph_->stop_signal(); }
  const std::string& providers() const override { return graph_->providers(); }
  const std::string& library_version() const override { return graph_->library_version(); }
  std::vector<std::string> notes() const override { return graph_->notes(); }

 protected:
  std::shared_ptr<Graph> graph_;
};

}  // namespace sg
