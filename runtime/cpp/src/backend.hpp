/** What runs a graph: ONNX Runtime, and later others. Nothing above this line knows which. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sg {

/** A switch that makes `Binding::run` return early; it may outlive the back end's graph. */
class StopSignal {
 public:
  virtual ~StopSignal() = default;
  virtual void request() = 0;  // from any thread
  virtual void reset() = 0;
};

/** The buffers of one call at a time, reused from call to call. */
class Binding {
 public:
  virtual ~Binding() = default;
  /** Fix the axes of every input and of output 0, in the manifest's order; does nothing where they are so already. */
  virtual void shape(const std::vector<std::vector<std::int64_t>>& inputs, const std::vector<std::int64_t>& output) = 0;
  /** Host memory of input `index`, and of output 0: C order, valid until the next `shape`. */
  virtual void* input(std::size_t index) = 0;
  virtual const void* output() const = 0;
  /** Run the graph. Failure SG_ENGINE_FAILED where that fails; `stop` may be null. */
  virtual void run(StopSignal* stop) = 0;
};

/** A loaded graph; its functions may be called from several threads at once. */
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::unique_ptr<Binding> bind() = 0;
  virtual std::unique_ptr<StopSignal> stop_signal() = 0;
  virtual const std::string& providers() const = 0;
  virtual const std::string& library_version() const = 0;
};

}  // namespace sg
