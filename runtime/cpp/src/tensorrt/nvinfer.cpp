/** The library's own classes, behind vendor.hpp. Compiled with SG_TENSORRT_RTX for TensorRT-RTX, without for TensorRT. */
#include <NvInferRuntime.h>

#include <cstdio>
#include <mutex>

#include "error.hpp"
#include "samplegraph/samplegraph.h"
#include "shared_library.hpp"
#include "tensorrt/vendor.hpp"
#include "text.hpp"

#if defined(SG_TENSORRT_RTX) != defined(TRT_MAJOR_RTX)
#error "TENSORRT_ROOT takes the headers of TensorRT, TENSORRT_RTX_ROOT those of TensorRT-RTX"
#endif

namespace sg::trt {
namespace {

#ifdef SG_TENSORRT_RTX
constexpr bool kCaptures = true, kCompiles = true;
const LibrarySearch& search() {
  static const LibrarySearch found = {
      "TensorRT-RTX", "libtensorrt_rtx.so", "SAMPLEGRAPH_TENSORRT_RTX",
      {cat("libtensorrt_rtx.so.", NV_TENSORRT_MAJOR), "libtensorrt_rtx.so"},
      "set SAMPLEGRAPH_TENSORRT_RTX to libtensorrt_rtx or its folder (in a Python environment: "
      "site-packages/tensorrt_rtx_libs)"};
  return found;
}
#else
constexpr bool kCaptures = false, kCompiles = false;
const LibrarySearch& search() {
  static const LibrarySearch found = {
      "TensorRT", "libnvinfer.so", "SAMPLEGRAPH_TENSORRT", {cat("libnvinfer.so.", NV_TENSORRT_MAJOR), "libnvinfer.so"},
      "set SAMPLEGRAPH_TENSORRT to libnvinfer or its folder; the library comes from NVIDIA"};
  return found;
}
#endif

std::int32_t dtype(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: return SG_FLOAT32;
    case nvinfer1::DataType::kHALF: return SG_FLOAT16;
    case nvinfer1::DataType::kBF16: return SG_BFLOAT16;
    case nvinfer1::DataType::kINT64: return SG_INT64;
    case nvinfer1::DataType::kINT32: return SG_INT32;
    case nvinfer1::DataType::kINT8: return SG_INT8;
    case nvinfer1::DataType::kUINT8: return SG_UINT8;
    case nvinfer1::DataType::kBOOL: return SG_BOOL;
    default: return 0;
  }
}

std::vector<std::int64_t> axes(const nvinfer1::Dims& dims) {
  return {dims.d, dims.d + (dims.nbDims > 0 ? dims.nbDims : 0)};
}

/** Keeps the first error, without allocating. */
class Log : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* text) noexcept override {
    if (severity != Severity::kERROR && severity != Severity::kINTERNAL_ERROR) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (first_[0] == '\0') std::snprintf(first_, sizeof first_, "%s", text);
  }
  std::string take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string out = first_[0] == '\0' ? "it gives no reason" : one_line(first_);
    first_[0] = '\0';
    return out;
  }

 private:
  std::mutex mutex_;
  char first_[512] = "";
};

class NvContext : public Context {
 public:
  explicit NvContext(std::unique_ptr<nvinfer1::IExecutionContext> context) : context_(std::move(context)) {}

  bool set_shape(const char* name, const std::vector<std::int64_t>& shape) override {
    nvinfer1::Dims dims{};
    if (shape.size() > static_cast<std::size_t>(nvinfer1::Dims::MAX_DIMS)) return false;
    for (const std::int64_t size : shape) dims.d[dims.nbDims++] = size;
    return context_->setInputShape(name, dims);
  }
  bool set_address(const char* name, void* data) override { return context_->setTensorAddress(name, data); }
  std::vector<std::int64_t> shape(const char* name) const override { return axes(context_->getTensorShape(name)); }
  bool enqueue(cuda::Stream stream) override { return context_->enqueueV3(stream); }

 private:
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
};

class NvEngine : public LoadedEngine {
 public:
  NvEngine(nvinfer1::IRuntime* (*create)(void*, std::int32_t), const void* data, std::size_t bytes,
           bool host_code)
      : runtime_(create(&log_, NV_TENSORRT_VERSION)) {
    if (!runtime_) return;
    if (host_code) runtime_->setEngineHostCodeAllowed(true);
    engine_.reset(runtime_->deserializeCudaEngine(data, bytes));
  }

  std::vector<EngineTensor> tensors() const override {
    std::vector<EngineTensor> out;
    for (std::int32_t i = 0; engine_ && i < engine_->getNbIOTensors(); ++i) {
      const char* name = engine_->getIOTensorName(i);
      out.push_back({name, engine_->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT,
                     engine_->getTensorLocation(name) == nvinfer1::TensorLocation::kDEVICE,
                     dtype(engine_->getTensorDataType(name)), axes(engine_->getTensorShape(name))});
    }
    return out;
  }

  std::unique_ptr<Context> context(bool capture) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<nvinfer1::IExecutionContext> made(make(capture));
    return made ? std::make_unique<NvContext>(std::move(made)) : nullptr;
  }

  std::string said() override { return log_.take(); }

#ifdef SG_TENSORRT_RTX
  bool use_kernels(const std::string& known) override {
    const std::unique_ptr<nvinfer1::IRuntimeConfig> config(engine_->createRuntimeConfig());
    if (config) kernels_.reset(config->createRuntimeCache());
    return kernels_ && !known.empty() && kernels_->deserialize(known.data(), known.size());
  }
  std::string kernels() override {
    const std::unique_ptr<nvinfer1::IHostMemory> made(kernels_ ? kernels_->serialize() : nullptr);
    return made ? std::string(static_cast<const char*>(made->data()), made->size()) : "";
  }

 private:
  /** Kernels of a shape are chosen when it is first seen, not later in the background: equal calls give equal samples. */
  nvinfer1::IExecutionContext* make(bool capture) {
    const std::unique_ptr<nvinfer1::IRuntimeConfig> config(engine_->createRuntimeConfig());
    if (!config) return nullptr;
    config->setDynamicShapesKernelSpecializationStrategy(nvinfer1::DynamicShapesKernelSpecializationStrategy::kEAGER);
    using Strategy = nvinfer1::CudaGraphStrategy;
    config->setCudaGraphStrategy(capture ? Strategy::kWHOLE_GRAPH_CAPTURE : Strategy::kDISABLED);
    if (kernels_) config->setRuntimeCache(*kernels_);
    return engine_->createExecutionContext(config.get());
  }
#else
  bool use_kernels(const std::string&) override { return false; }
  std::string kernels() override { return ""; }

 private:
  nvinfer1::IExecutionContext* make(bool) { return engine_->createExecutionContext(); }
#endif

  std::mutex mutex_;
  Log log_;  // outlives what follows
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
#ifdef SG_TENSORRT_RTX
  std::unique_ptr<nvinfer1::IRuntimeCache> kernels_;
#endif
};

class NvVendor : public Vendor {
 public:
  explicit NvVendor(const std::string& path) : library_(open_shared(search(), path)) {
    create_ = function<nvinfer1::IRuntime* (*)(void*, std::int32_t)>("createInferRuntime_INTERNAL");
    std::int32_t parts[4], at = 0;
    for (const char* name : {"Major", "Minor", "Patch", "Build"}) {
      parts[at] = function<std::int32_t (*)()>(cat("getInferLib", name, "Version").c_str())();
      version_ += cat(at > 0 ? "." : "", parts[at]);
      ++at;
    }
    if (parts[0] == NV_TENSORRT_MAJOR && parts[1] >= NV_TENSORRT_MINOR) return;
    throw Failure(SG_NO_ENGINE, cat(library_.path, ": is ", search().what, " ", version_, " and this libsamplegraph was built ",
                                    "for ", NV_TENSORRT_MAJOR, ".", NV_TENSORRT_MINOR, " and newer of that; ", search().fix));
  }

  const std::string& version() const override { return version_; }
  bool captures() const override { return kCaptures; }
  bool compiles() const override { return kCompiles; }
  std::unique_ptr<LoadedEngine> deserialize(const void* data, std::size_t bytes, bool host_code) override {
    return std::make_unique<NvEngine>(create_, data, bytes, host_code);
  }

 private:
  template <class Function>
  Function function(const char* name) const {
    return reinterpret_cast<Function>(library_function(search(), library_, name));
  }

  OpenLibrary library_;
  nvinfer1::IRuntime* (*create_)(void*, std::int32_t) = nullptr;
  std::string version_;
};

}  // namespace

#ifdef SG_TENSORRT_RTX
std::shared_ptr<Vendor> open_tensorrt_rtx(const std::string& path) { return std::make_shared<NvVendor>(path); }
#else
std::shared_ptr<Vendor> open_tensorrt(const std::string& path) { return std::make_shared<NvVendor>(path); }
#endif

}  // namespace sg::trt
