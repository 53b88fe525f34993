/**
 * A double of TensorRT and of TensorRT-RTX. An "engine" is a text, "double " and the path of an ONNX graph, which it
 * runs in ONNX Runtime on the CPU, on memory of the double of the CUDA runtime.
 *
 * Environment: DOUBLE_VERSION ("11.1.0.106" or "1.7.1.116"), DOUBLE_REFUSES: functions that fail, with "-in-capture" only
 * then; DOUBLE_DRIVER: what a cache of kernels has to be from.
 */
#include <NvInferRuntime.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend.hpp"
#include "caller_memory.hpp"
#include "cudart.hpp"
#include "manifest.hpp"
#include "onnxruntime/session.hpp"

namespace {
using namespace nvinfer1;

bool refuses(const char* name, ILogger& logger) {
  double_count_one(name);
  const char* list = std::getenv("DOUBLE_REFUSES");
  const char* found = list != nullptr ? std::strstr(list, name) : nullptr;
  if (found == nullptr || (found[std::strlen(name)] != '\0' && found[std::strlen(name)] != ' ')) return false;
  logger.log(ILogger::Severity::kWARNING, "this is no error");
  logger.log(ILogger::Severity::kERROR, name);
  logger.log(ILogger::Severity::kERROR, "a second error");
  return true;
}

DataType type_of(std::int32_t dtype) {
  switch (dtype) {
    case SG_FLOAT32: return DataType::kFLOAT;
    case SG_FLOAT16: return DataType::kHALF;
    case SG_INT64: return DataType::kINT64;
    case SG_INT32: return DataType::kINT32;
    case SG_BOOL: return DataType::kBOOL;
    default: return DataType::kFP8;
  }
}

Dims dims_of(const std::vector<std::int64_t>& shape) {
  Dims out{};
  for (const std::int64_t size : shape) out.d[out.nbDims++] = size;
  return out;
}

/** Inputs, then outputs, as the graph's own manifest has them. */
struct Loaded {
  explicit Loaded(const std::string& path)
      : manifest(sg::read_graph_manifest(path)), graph(sg::ort::load(path, manifest, {})) {
    tensors.insert(tensors.end(), manifest.graph_inputs.begin(), manifest.graph_inputs.end());
    tensors.insert(tensors.end(), manifest.outputs.begin(), manifest.outputs.end());
  }
  std::size_t index(const char* name) const {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].name == name) return i;
    }
    std::abort();
  }
  bool is_input(std::size_t index) const { return index < manifest.graph_inputs.size(); }

  sg::Manifest manifest;
  std::unique_ptr<sg::Graph> graph;
  std::vector<sg::Tensor> tensors;
};

/** The graph over the addresses and shapes that were set when it was enqueued, as a captured run keeps them. */
class BoundRun {
 public:
  BoundRun(Loaded& loaded, const std::vector<void*>& addresses, const std::vector<sg::Shape>& shapes)
      : lane_(loaded.graph->lane()), call_(loaded.graph->call(*lane_)) {
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      void* data = double_host_address(addresses[i], sg::byte_count(loaded.tensors[i].dtype, shapes[i]));
      if (data == nullptr) std::abort();
      if (loaded.is_input(i)) call_->input(i, data, shapes[i]);
      else call_->output(i - loaded.manifest.graph_inputs.size(), data, shapes[i]);
    }
  }
  static void run(void* self) { static_cast<BoundRun*>(self)->call_->run(nullptr); }

 private:
  std::shared_ptr<sg::Lane> lane_;
  std::unique_ptr<sg::GraphCall> call_;
};

#ifdef TRT_MAJOR_RTX
const char* driver() {
  const char* text = std::getenv("DOUBLE_DRIVER");
  return text != nullptr ? text : "580";
}

class MemoryDouble : public IHostMemory {
 public:
  explicit MemoryDouble(std::string text) : text_(std::move(text)) {}
  void* data() const noexcept override { return const_cast<char*>(text_.data()); }
  std::size_t size() const noexcept override { return text_.size(); }

 private:
  std::string text_;
};

/** The driver, and a line for each shape that kernels were compiled for. */
class CacheDouble : public IRuntimeCache {
 public:
  IHostMemory* serialize() const noexcept override {
    double_count_one("serialize");
    return new MemoryDouble(std::string(driver()) + known);
  }
  bool deserialize(void const* blob, std::size_t size) noexcept override {
    const std::string text(static_cast<const char*>(blob), size), here = driver();
    if (text.compare(0, here.size(), here) != 0) return false;
    known = text.substr(here.size());
    return true;
  }
  mutable std::string known;
};
#else
struct CacheDouble {
  mutable std::string known;
};
#endif

class ContextDouble : public IExecutionContext {
 public:
  ContextDouble(Loaded& loaded, ILogger& logger, bool captures, const CacheDouble* cache)
      : loaded_(loaded), logger_(logger), captures_(captures), cache_(cache), shapes_(loaded.tensors.size()), addresses_(shapes_.size()) {
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      for (const sg::Axis& axis : loaded.tensors[i].shape) shapes_[i].push_back(axis.size);
    }
  }

  bool setInputShape(const char* name, const Dims& dims) noexcept override {
    if (refuses("setInputShape", logger_)) return false;
    shapes_[loaded_.index(name)].assign(dims.d, dims.d + dims.nbDims);
    changed_ = true;
    return true;
  }
  Dims getTensorShape(const char* name) const noexcept override { return dims_of(known(loaded_.index(name))); }
  bool setTensorAddress(const char* name, void* data) noexcept override {
    if (refuses("setTensorAddress", logger_)) return false;
    if (reinterpret_cast<std::uintptr_t>(data) % 256 != 0) {
      logger_.log(ILogger::Severity::kERROR, "an address is not aligned");
      return false;
    }
    addresses_[loaded_.index(name)] = data;
    changed_ = true;
    return true;
  }
  bool enqueueV3(cudaStream_t stream) noexcept override {
    if (refuses("enqueueV3", logger_)) return false;
    if (double_is_capturing(stream) && (captures_ || refuses("enqueueV3-in-capture", logger_))) return false;
    if (changed_) {
      compile();
      std::vector<sg::Shape> shapes;
      for (std::size_t i = 0; i < shapes_.size(); ++i) shapes.push_back(known(i));
      runs_.push_back(std::make_unique<BoundRun>(loaded_, addresses_, shapes));
      changed_ = false;
    }
    double_enqueue(stream, &BoundRun::run, runs_.back().get());
    return true;
  }

 private:
  /** Kernels of a batch are compiled when it is first seen. */
  void compile() {
    const std::string line = "\n" + std::to_string(shapes_[0][0]);
    if (cache_ != nullptr && (cache_->known + "\n").find(line + "\n") != std::string::npos) return;
    double_count_one("compile");
    if (cache_ != nullptr) cache_->known += line;
  }
  /** Free axes are the batch, which the first input has. */
  sg::Shape known(std::size_t index) const {
    sg::Shape shape = shapes_[index];
    for (std::int64_t& size : shape) size = size < 0 ? shapes_[0][0] : size;
    if (!shape.empty() && std::getenv("DOUBLE_OTHER_OUTPUT") != nullptr) shape.back() += 1;
    return shape;
  }

  Loaded& loaded_;
  ILogger& logger_;
  bool captures_;  // by itself
  const CacheDouble* cache_;
  bool changed_ = true;
  std::vector<sg::Shape> shapes_;
  std::vector<void*> addresses_;
  std::vector<std::unique_ptr<BoundRun>> runs_;
};

#ifdef TRT_MAJOR_RTX
class ConfigDouble : public IRuntimeConfig {
 public:
  void setDynamicShapesKernelSpecializationStrategy(DynamicShapesKernelSpecializationStrategy strategy) noexcept override {
    eager = strategy == DynamicShapesKernelSpecializationStrategy::kEAGER;
  }
  bool setCudaGraphStrategy(CudaGraphStrategy strategy) noexcept override {
    captures = strategy == CudaGraphStrategy::kWHOLE_GRAPH_CAPTURE;
    return true;
  }
  IRuntimeCache* createRuntimeCache() const noexcept override { return new CacheDouble; }
  bool setRuntimeCache(IRuntimeCache const& given) noexcept override {
    cache = static_cast<const CacheDouble*>(&given);
    return true;
  }
  bool eager = false, captures = false;
  const CacheDouble* cache = nullptr;
};
#endif

class EngineDouble : public ICudaEngine {
 public:
  EngineDouble(const std::string& path, ILogger& logger) : loaded_(path), logger_(logger) {}

  std::int32_t getNbIOTensors() const noexcept override { return static_cast<std::int32_t>(loaded_.tensors.size()); }
  const char* getIOTensorName(std::int32_t i) const noexcept override { return at(i).name.c_str(); }
  TensorIOMode getTensorIOMode(const char* name) const noexcept override {
    return loaded_.is_input(loaded_.index(name)) ? TensorIOMode::kINPUT : TensorIOMode::kOUTPUT;
  }
  TensorLocation getTensorLocation(const char*) const noexcept override { return TensorLocation::kDEVICE; }
  DataType getTensorDataType(const char* name) const noexcept override {
    return type_of(loaded_.tensors[loaded_.index(name)].dtype);
  }
  Dims getTensorShape(const char* name) const noexcept override {
    std::vector<std::int64_t> shape;
    for (const sg::Axis& axis : loaded_.tensors[loaded_.index(name)].shape) shape.push_back(axis.size);
    return dims_of(shape);
  }
#ifdef TRT_MAJOR_RTX
  IRuntimeConfig* createRuntimeConfig() noexcept override { return new ConfigDouble; }
  IExecutionContext* createExecutionContext(IRuntimeConfig* config) noexcept override {
    const auto& asked = *static_cast<ConfigDouble*>(config);
    double_count_one(asked.captures ? "context that captures" : "context that does not capture");
    if (!asked.eager || refuses("createExecutionContext", logger_)) return nullptr;
    return new ContextDouble(loaded_, logger_, asked.captures, asked.cache);
  }
#else
  IExecutionContext* createExecutionContext() noexcept override {
    return refuses("createExecutionContext", logger_) ? nullptr : new ContextDouble(loaded_, logger_, false, nullptr);
  }
#endif

 private:
  const sg::Tensor& at(std::int32_t i) const { return loaded_.tensors[static_cast<std::size_t>(i)]; }
  Loaded loaded_;
  ILogger& logger_;
};

class RuntimeDouble : public IRuntime {
 public:
  explicit RuntimeDouble(ILogger& logger) : logger_(logger) {}
  void setEngineHostCodeAllowed(bool allowed) noexcept override { double_count_one(allowed ? "host code" : "no host code"); }
  ICudaEngine* deserializeCudaEngine(const void* data, std::size_t bytes) noexcept override {
    if (refuses("deserializeCudaEngine", logger_)) return nullptr;
    const std::string text(static_cast<const char*>(data), bytes), prefix = "double ";
    if (text.compare(0, prefix.size(), prefix) != 0) {
      logger_.log(ILogger::Severity::kERROR, "the header is\nnot that of an engine");
      return nullptr;
    }
    return new EngineDouble(text.substr(prefix.size()), logger_);
  }

 private:
  ILogger& logger_;
};

#ifdef TRT_MAJOR_RTX
constexpr const char* kVersion = "1.7.1.116";
#else
constexpr const char* kVersion = "11.1.0.106";
#endif

std::int32_t version_part(int index) {
  const char* text = std::getenv("DOUBLE_VERSION");
  if (text == nullptr) text = kVersion;
  for (; index > 0; --index) text = std::strchr(text, '.') + 1;
  return std::atoi(text);
}

}  // namespace

extern "C" {
__attribute__((visibility("default"))) void* createInferRuntime_INTERNAL(void* logger, std::int32_t) noexcept {
  return new RuntimeDouble(*static_cast<ILogger*>(logger));
}
__attribute__((visibility("default"))) std::int32_t getInferLibMajorVersion() noexcept { return version_part(0); }
__attribute__((visibility("default"))) std::int32_t getInferLibMinorVersion() noexcept { return version_part(1); }
__attribute__((visibility("default"))) std::int32_t getInferLibPatchVersion() noexcept { return version_part(2); }
__attribute__((visibility("default"))) std::int32_t getInferLibBuildVersion() noexcept { return version_part(3); }
}
