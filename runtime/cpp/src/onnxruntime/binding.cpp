#include "onnxruntime/binding.hpp"

#include "buffer.hpp"
#include "error.hpp"
#include "onnxruntime/signature.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

/** Memory of ours that ONNX Runtime sees as a tensor. */
struct Bound {
  std::vector<std::int64_t> shape;
  Buffer buffer;
  Value value;
};

class OrtBinding : public Binding {
 public:
  OrtBinding(const Library& library, OrtSession* session, const std::string& file, const std::vector<Tensor>& inputs,
             const Tensor& output, StopOptions stop_options)
      : library_(library), api_(*library.api), session_(session), file_(file), inputs_(inputs), output_(output),
        stop_options_(stop_options), bound_(inputs.size()) {
    OrtMemoryInfo* memory = nullptr;
    ok(api_.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    memory_ = MemoryInfo(library, memory);
    OrtIoBinding* binding = nullptr;
    ok(api_.CreateIoBinding(session, &binding));
    binding_ = IoBinding(library, binding);
  }

  void shape(const std::vector<std::vector<std::int64_t>>& inputs, const std::vector<std::int64_t>& output) override {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (fit(bound_[i], inputs_[i], inputs[i])) {
        ok(api_.BindInput(binding_.get(), inputs_[i].name.c_str(), bound_[i].value.get()));
      }
    }
    if (fit(bound_output_, output_, output)) {
      ok(api_.BindOutput(binding_.get(), output_.name.c_str(), bound_output_.value.get()));
    }
  }

  void* input(std::size_t index) override { return bound_[index].buffer.data(); }
  const void* output() const override { return bound_output_.buffer.data(); }

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

  /** Give `bound` that shape; true where it had another one. */
  bool fit(Bound& bound, const Tensor& tensor, const std::vector<std::int64_t>& shape) {
    if (bound.value && bound.shape == shape) return false;
    std::size_t bytes = tensor.type().size;
    for (const std::int64_t size : shape) {
      if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(size), &bytes)) throw std::bad_alloc();
    }
    bound.value.reset();
    bound.buffer.reserve(bytes);
    OrtValue* value = nullptr;
    ok(api_.CreateTensorWithDataAsOrtValue(memory_.get(), bound.buffer.data(), bytes, shape.data(), shape.size(),
                                           element_type(tensor.dtype), &value));
    bound.value = Value(library_, value);
    bound.shape = shape;
    return true;
  }

  const Library& library_;
  const OrtApi& api_;
  OrtSession* session_;
  const std::string& file_;
  const std::vector<Tensor>& inputs_;
  const Tensor& output_;
  StopOptions stop_options_;
  MemoryInfo memory_;
  std::vector<Bound> bound_;
  Bound bound_output_;
  IoBinding binding_;
};

}  // namespace

std::unique_ptr<Binding> make_binding(const Library& library, OrtSession* session, const std::string& file,
                                      const std::vector<Tensor>& inputs, const Tensor& output, StopOptions stop_options) {
  return std::make_unique<OrtBinding>(library, session, file, inputs, output, stop_options);
}

}  // namespace sg::ort
