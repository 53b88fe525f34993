#include "onnxruntime/binding.hpp"

#include "caller_memory.hpp"
#include "error.hpp"
#include "onnxruntime/signature.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

class OrtCall : public GraphCall {
 public:
  OrtCall(const Library& library, OrtSession* session, const std::string& file, const std::vector<Tensor>& inputs,
          const std::vector<Tensor>& outputs, StopOptions stop_options)
      : library_(library), api_(*library.api), session_(session), file_(file), inputs_(inputs), outputs_(outputs),
        stop_options_(stop_options), bound_inputs_(inputs.size()), bound_outputs_(outputs.size()) {
    OrtMemoryInfo* memory = nullptr;
    ok(api_.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    memory_ = MemoryInfo(library, memory);
    OrtIoBinding* binding = nullptr;
    ok(api_.CreateIoBinding(session, &binding));
    binding_ = IoBinding(library, binding);
  }

  void input(std::size_t index, void* data, const Shape& shape) override {
    Value value = tensor(inputs_[index], data, shape);
    ok(api_.BindInput(binding_.get(), inputs_[index].name.c_str(), value.get()));
    bound_inputs_[index] = std::move(value);
  }

  void output(std::size_t index, void* data, const Shape& shape) override {
    Value value = tensor(outputs_[index], data, shape);
    ok(api_.BindOutput(binding_.get(), outputs_[index].name.c_str(), value.get()));
    bound_outputs_[index] = std::move(value);
  }

  void run(StopSignal* stop) override {
    OrtStatus* status = api_.RunWithBinding(session_, stop_options_(stop), binding_.get());
    if (status == nullptr) return;
    throw Failure(SG_ENGINE_FAILED,
                  cat(file_, ": ONNX Runtime failed at running it (", reason(library_, status), ")"));
  }

 private:
  void ok(OrtStatus* status) const {
    if (status == nullptr) return;
    throw Failure(SG_ENGINE_FAILED, cat(file_, ": ONNX Runtime refuses its buffers (", reason(library_, status), ")"));
  }

  /** Memory of ours as ONNX Runtime's tensor. */
  Value tensor(const Tensor& described, void* data, const Shape& shape) const {
    OrtValue* value = nullptr;
    ok(api_.CreateTensorWithDataAsOrtValue(memory_.get(), data, byte_count(described.dtype, shape), shape.data(),
                                           shape.size(), element_type(described.dtype), &value));
    return {library_, value};
  }

  const Library& library_;
  const OrtApi& api_;
  OrtSession* session_;
  const std::string& file_;
  const std::vector<Tensor>& inputs_;
  const std::vector<Tensor>& outputs_;
  StopOptions stop_options_;
  MemoryInfo memory_;
  std::vector<Value> bound_inputs_, bound_outputs_;
  IoBinding binding_;
};

}  // namespace

std::unique_ptr<GraphCall> make_call(const Library& library, OrtSession* session, const std::string& file,
                                     const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                                     StopOptions stop_options) {
  return std::make_unique<OrtCall>(library, session, file, inputs, outputs, stop_options);
}

}  // namespace sg::ort
