/** A loaded graph, as ONNX Runtime or TensorRT runs it. Nothing above this line knows which. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lane.hpp"

namespace sg {

struct Manifest;

/** A switch that makes `GraphCall::run` return early; it may outlive the graph. */
class StopSignal {
 public:
  virtual ~StopSignal() = default;
  virtual void request() = 0;  // from any thread
  virtual void reset() = 0;
};

/** One call of a graph at a time, over memory of a lane that its owner keeps: C order. */
class GraphCall {
 public:
  virtual ~GraphCall() = default;
  /** From now on input, or output, `index` in the manifest's order is `data`, of that shape. */
  virtual void input(std::size_t index, void* data, const std::vector<std::int64_t>& shape) = 0;
  virtual void output(std::size_t index, void* data, const std::vector<std::int64_t>& shape) = 0;
  /** Run the graph, in order with the lane. Failure SG_ENGINE_FAILED where that fails; `stop` may be null. */
  virtual void run(StopSignal* stop) = 0;
};

/** Its functions may be called from several threads at once. */
class Graph {
 public:
  virtual ~Graph() = default;
  /** What calls may run in; graphs that were loaded alike take each other's. */
  virtual std::shared_ptr<Lane> lane() { return host_lane(); }
  /** A call that runs in a lane, which outlives it. */
  virtual std::unique_ptr<GraphCall> call(Lane& lane) = 0;
  virtual std::unique_ptr<StopSignal> stop_signal() = 0;
  virtual const std::string& providers() const = 0;
  virtual const std::string& library_version() const = 0;
  /** What a user may want to know of how it runs: see notes.hpp. */
  virtual std::vector<std::string> notes() const { return {}; }
};

/** Loads the graph in a file that has this manifest. */
using LoadGraph = std::function<std::shared_ptr<Graph>(const std::string& path, const Manifest& manifest)>;

}  // namespace sg
