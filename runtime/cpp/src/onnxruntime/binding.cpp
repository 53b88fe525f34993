#include "onnxruntime/binding.hpp"

#include "caller_memory.hpp"
#include "error.hpp"
#include "onnxruntime/signature.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

/** Tells captured graphs apart; -1 runs without. ONNX Runtime's documentation, "CUDA graphs". */
constexpr const char *kGraphId = "gpu_graph_id", *kNoGraph = "-1";

class OrtCall : public GraphCall {
 public:
  OrtCall(SessionParts& parts, Lane& lane, StopOptions stop_options)
      : parts_(parts), api_(*parts.library.api), lane_(lane), stop_options_(stop_options),
        bound_inputs_(parts.inputs.size()), bound_outputs_(parts.outputs.size()) {
    OrtMemoryInfo* memory = nullptr;
    if (lane.on_host()) ok(api_.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    else ok(api_.CreateMemoryInfo("Cuda", OrtDeviceAllocator, parts.device, OrtMemTypeDefault, &memory));
    memory_ = MemoryInfo(parts.library, memory);
    OrtIoBinding* binding = nullptr;
    ok(api_.CreateIoBinding(parts.session.get(), &binding));
    binding_ = IoBinding(parts.library, binding);
  }

  void input(std::size_t index, void* data, const Shape& shape) override {
    Value value = tensor(parts_.inputs[index], data, shape);
    ok(api_.BindInput(binding_.get(), parts_.inputs[index].name.c_str(), value.get()));
    bound_inputs_[index] = std::move(value);
    numbered_ = refused_;  // what was captured holds no longer: the next run is captured anew, by another number
  }

  void output(std::size_t index, void* data, const Shape& shape) override {
    Value value = tensor(parts_.outputs[index], data, shape);
    ok(api_.BindOutput(binding_.get(), parts_.outputs[index].name.c_str(), value.get()));
    bound_outputs_[index] = std::move(value);
    numbered_ = refused_;  // what was captured holds no longer: the next run is captured anew, by another number
  }

  void run(StopSignal* stop) override {
    lane_.wait();  // the session has a stream of its own, and waits for that
    if (parts_.captures) return run_captured();
    finish(api_.RunWithBinding(parts_.session.get(), stop_options_(stop), binding_.get()));
  }

 private:
  void ok(OrtStatus* status) const {
    if (status == nullptr) return;
    throw Failure(SG_ENGINE_FAILED,
                  cat(parts_.file, ": ONNX Runtime refuses its buffers (", reason(parts_.library, status), ")"));
  }

  void finish(OrtStatus* status) const {
    if (status == nullptr) return;
    throw Failure(SG_ENGINE_FAILED,
                  cat(parts_.file, ": ONNX Runtime failed at running it (", reason(parts_.library, status), ")"));
  }


  /** Run options with the number of a graph. A captured run cannot be stopped inside, so they hold no stop. */
  void set_graph(const char* id) {
    OrtRunOptions* raw = nullptr;
    ok(api_.CreateRunOptions(&raw));
    graph_ = RunOptions(parts_.library, raw);
    ok(api_.AddRunConfigEntry(raw, kGraphId, id));
    numbered_ = true;
  }

  void run_captured() {
    if (!numbered_) set_graph(refused_ ? kNoGraph : std::to_string(++parts_.graphs).c_str());
    const std::lock_guard<std::mutex> lock(parts_.capturing);
    try {
      finish(api_.RunWithBinding(parts_.session.get(), graph_.get(), binding_.get()));
    } catch (const Failure& failure) {
      if (refused_) throw;
      refused_ = true;
      parts_.notes.add(cat("no CUDA graph: ", failure.what()));
      set_graph(kNoGraph);
      finish(api_.RunWithBinding(parts_.session.get(), graph_.get(), binding_.get()));
    }
  }

  /** Memory of ours as ONNX Runtime's tensor. */
  Value tensor(const Tensor& described, void* data, const Shape& shape) const {
    OrtValue* value = nullptr;
    ok(api_.CreateTensorWithDataAsOrtValue(memory_.get(), data, byte_count(described.dtype, shape), shape.data(),
                                           shape.size(), element_type(described.dtype), &value));
    return {parts_.library, value};
  }

  SessionParts& parts_;
  const OrtApi& api_;
  Lane& lane_;
  StopOptions stop_options_;
  MemoryInfo memory_;
  std::vector<Value> bound_inputs_, bound_outputs_;
  IoBinding binding_;
  RunOptions graph_;
  bool numbered_ = false, refused_ = false;
};

}  // namespace

std::unique_ptr<GraphCall> make_call(SessionParts& parts, Lane& lane, StopOptions stop_options) {
  return std::make_unique<OrtCall>(parts, lane, stop_options);
}

}  // namespace sg::ort
