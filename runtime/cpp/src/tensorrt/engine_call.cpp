#include "tensorrt/engine_call.hpp"

#include <cstdint>

#include "caller_memory.hpp"
#include "cuda/captured.hpp"
#include "error.hpp"
#include "text.hpp"

namespace sg::trt {
namespace {

/** What the library asks of an address; memory of the GPU as it is allocated has it, a slice of it may not. */
constexpr std::uintptr_t kAlignment = 256;

/** Runs are enqueued: the first one as it is, later ones as one CUDA graph where that can be captured. */
class EngineCall : public GraphCall {
 public:
  EngineCall(EngineParts& parts, cuda::CudaLane& lane)
      : parts_(parts), lane_(lane), captured_(lane), shapes_(parts.inputs.size()), bound_(parts.outputs.size()) {
    const cuda::Current current(lane.runtime(), lane.device());
    context_ = parts_.engine->context(parts_.cuda_graph);
    if (context_) {
      for (std::size_t i = 0; i < parts_.inputs.size(); ++i) staged_.emplace_back(lane);
      return;
    }
    throw Failure(SG_NO_MEMORY, cat(parts_.file, ": the GPU has no room to run it (", parts_.engine->said(),
                                    "); give fewer samples per call"));
  }

  void input(std::size_t index, void* data, const Shape& shape) override {
    const Tensor& tensor = parts_.inputs[index];
    unbind();
    if (!context_->set_shape(tensor.name.c_str(), shape)) {
      refuse(cat("does not take ", tensor.name, " of shape ", tuple_text(shape.data(), shape.size())));
    }
    shapes_[index] = shape;
    Staged& staged = staged_[index];
    staged.from = nullptr;
    if (reinterpret_cast<std::uintptr_t>(data) % kAlignment != 0) {
      staged.from = data;
      staged.memory.reserve(byte_count(tensor.dtype, shape));
      data = staged.memory.graph();
    }
    address(tensor, data);
  }

  void output(std::size_t index, void* data, const Shape& shape) override {
    unbind();
    address(parts_.outputs[index], data);
    bound_[index] = shape;
  }

  void run(StopSignal*) override {
    const cuda::Current current(lane_.runtime(), lane_.device());
    if (captured_) return captured_.launch();
    if (fresh_) check_outputs();
    enqueue();
    if (fresh_ && parts_.kernels) parts_.kernels->ran(shapes_);
    if (fresh_ && parts_.cuda_graph && !parts_.captures_itself) capture();
    fresh_ = false;
  }

 private:
  /** An input at an address that the engine does not take, and the memory that it is copied to. */
  struct Staged {
    explicit Staged(Lane& lane) : memory(lane) {}
    const void* from = nullptr;
    Mirror memory;
  };

  [[noreturn]] void refuse(const std::string& what) {
    throw Failure(SG_ENGINE_FAILED, cat(parts_.file, ": ", what, " (", parts_.engine->said(), ")"));
  }

  /** Addresses and shapes change: what was captured holds no longer. */
  void unbind() {
    captured_.drop();
    fresh_ = true;
  }

  void address(const Tensor& tensor, void* data) {
    if (!context_->set_address(tensor.name.c_str(), data)) refuse(cat("does not take the address of ", tensor.name));
  }

  /** The library writes as many elements as it says, whatever memory there is. */
  void check_outputs() {
    for (std::size_t i = 0; i < bound_.size(); ++i) {
      const Shape found = context_->shape(parts_.outputs[i].name.c_str());
      if (found == bound_[i]) continue;
      refuse(cat(parts_.outputs[i].name, " is ", tuple_text(found.data(), found.size()), " and not ",
                 tuple_text(bound_[i].data(), bound_[i].size())));
    }
  }

  void enqueue() {
    for (const Staged& each : staged_) {
      if (each.from != nullptr) lane_.copy(each.memory.graph(), each.from, each.memory.bytes());
    }
    if (!context_->enqueue(lane_.stream())) refuse(cat(parts_.builder, " failed at running it"));
  }

  void capture() {
    try {
      captured_.capture([this] { enqueue(); });
    } catch (const Failure& failure) {
      parts_.notes.add(cat("no CUDA graph: ", failure.what()));
    }
  }

  EngineParts& parts_;
  cuda::CudaLane& lane_;
  std::unique_ptr<Context> context_;
  std::vector<Staged> staged_;
  cuda::Captured captured_;
  std::vector<Shape> shapes_, bound_;  // of inputs, and of outputs
  bool fresh_ = true;
};

}  // namespace

std::unique_ptr<GraphCall> make_call(EngineParts& parts, cuda::CudaLane& lane) {
  return std::make_unique<EngineCall>(parts, lane);
}

}  // namespace sg::trt
